"use strict";
// Draws the course of a training, the output after each step, and says where it went.
function drawCourse(course) {
  const one = (id) => document.getElementById(id);
  const known = course.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const x = (i) => 5 + (290 * i) / Math.max(1, course.length - 1);
  const y = (value) => 85 - (80 * (value - low)) / (high - low || 1);
  const dots = course.map((value, i) => (Number.isFinite(value) ? `${x(i)},${y(value)}` : ""));
  one("curve").toggleAttribute("hidden", course.length < 2);
  one("curve").firstChild.setAttribute("points", dots.join(" "));
  const [first, last] = [course[0], course[course.length - 1]];
  const steps = `${course.length - 1} step${course.length === 2 ? "" : "s"}`;
  const rose = last > first ? "; it rose, the steps are too long" : "";
  one("trained").textContent =
    course.length < 2 ? "" : `${steps}: from ${shown(first)} to ${shown(last)}${rose}.`;
}
