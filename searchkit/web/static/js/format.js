// Numbers, times and sizes as people write them.

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const tail = `${String(s).padStart(2, "0")}`;
  return h ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}

export const spanText = (start, end) => `${clock(start)} – ${clock(end)}`;

export function bytes(count) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let step = 0;
  while (count >= 1000 && step < units.length - 1) [count, step] = [count / 1000, step + 1];
  return `${step ? count.toFixed(count < 10 ? 1 : 0) : count} ${units[step]}`;
}

export const number = (count) => new Intl.NumberFormat().format(count);

export function date(text) {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return text;
  return moment.toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

export function ago(text) {
  const seconds = (Date.now() - new Date(text).getTime()) / 1000;
  const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  if (seconds < 60) return format.format(-Math.round(seconds), "second");
  if (seconds < 3600) return format.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86400) return format.format(-Math.round(seconds / 3600), "hour");
  return format.format(-Math.round(seconds / 86400), "day");
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

export const MODALITIES = [
  ["image", "Photos"],
  ["audio", "Sounds"],
  ["video", "Videos"],
  ["text", "Texts"],
];

const PLUGGED = { depth: "Depth maps", normal: "Normal maps", points: "Point clouds", imu: "Motion", fmri: "fMRI" };

/** The usual modalities, and those among some names that a plug adds. */
export function modalitiesOf(names) {
  const usual = new Set(MODALITIES.map(([name]) => name));
  const added = names.filter((name) => !usual.has(name));
  return [...MODALITIES, ...added.map((name) => [name, PLUGGED[name] ?? name[0].toUpperCase() + name.slice(1)])];
}
