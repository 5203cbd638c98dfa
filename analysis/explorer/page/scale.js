// Scales from values to pixels, their ticks, and how numbers are written.

// Return a scale from values between low and high to pixels between start and end.
function scaleOf(low, high, log, start, end) {
  const to = log ? Math.log10 : value => value;
  const back = log ? value => 10 ** value : value => value;
  const [a, b] = [to(low), to(high)];
  return {
    low, high, log, start, end,
    pixel: value => start + (end - start) * (to(value) - a) / (b - a),
    value: pixel => back(a + (b - a) * (pixel - start) / (end - start)),
    ticks: most => (log ? logTicks(a, b, most) : linearTicks(low, high, most)),
  };
}

// Return the ends of an axis for values: a little more than their range, without those that it cannot show.
function range(values, log) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value) || (log && value <= 0)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  if (log) {
    const factor = low === high ? 2 : (high / low) ** 0.03;
    return [low / factor, high * factor];
  }
  const margin = low === high ? Math.abs(low) / 2 || 0.5 : 0.03 * (high - low);
  return [low - margin, high + margin];
}

function linearTicks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough * 0.9999);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) ticks.push(k * step);
  return ticks;
}

// Return powers of ten, or 1, 2, 5 times them where there is room; a and b are logarithms.
function logTicks(a, b, most) {
  for (const factors of [[1, 2, 3, 4, 5, 6, 8], [1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = Math.floor(a); power <= b; power++) {
      for (const factor of factors) {
        const place = power + Math.log10(factor);
        if (place >= a && place <= b) ticks.push(10 ** place);
      }
    }
    if (ticks.length <= most && ticks.length >= 2) return ticks;
    if (factors.length === 1) {
      const every = Math.ceil(ticks.length / most);
      return ticks.filter((_, place) => place % every === 0);
    }
  }
}

const grouped = new Intl.NumberFormat("en");

// Write a whole number: 1,234.
const whole = number => grouped.format(number);

// Write a number with three significant digits: 1,234; 0.0123; 1.2e-7.
function written(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e7 || (size > 0 && size < 1e-4)) return String(Number(value.toPrecision(digits)));
  if (size >= 100 || Number.isInteger(value)) return whole(Math.round(value));
  return String(Number(value.toPrecision(digits)));
}

// Write the number at a tick shortly: 20k, 0.001, 1e-6.
function tickText(value) {
  const short = Number(value.toPrecision(6)), size = Math.abs(short);
  if (size >= 1e6) return size >= 1e9 ? short.toExponential(0).replace("+", "") : `${short / 1e6}M`;
  if (size >= 1e4) return `${short / 1e3}k`;
  return size > 0 && size < 1e-4 ? String(short.toExponential()) : String(short);
}

const count = (number, word) => `${whole(number)} ${word}${number === 1 ? "" : "s"}`;
