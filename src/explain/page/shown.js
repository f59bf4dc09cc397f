"use strict";
// A number as a walk-through shows it, to some significant digits.
function shown(x, precision = 6) {
  if (x === undefined || x === null) return "—";
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "−inf";
  if (x === 0) return "0";
  const [digits, power] = x.toExponential(precision - 1).split("e");
  const strip = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  const small = Number(power) >= -4 && Number(power) < precision;
  const tail = `${power[0]}${power.slice(1).padStart(2, "0")}`;
  const text = small ? strip(x.toPrecision(precision)) : `${strip(digits)}e${tail}`;
  return text.replace(/-/g, "−");
}
