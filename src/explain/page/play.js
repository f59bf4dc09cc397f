"use strict";
// Playing: a step every few seconds until the end, or until anybody takes over. `next` goes on, and
// says whether there is more.
function player(next) {
  const [button, speed] = ["play", "speed"].map((id) => document.getElementById(id));
  let timer = 0;

  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(onward, 1000 * Number(speed.value)) : 0;
    button.textContent = timer ? "Pause" : "Play";
    button.setAttribute("aria-pressed", String(Boolean(timer)));
  }

  function onward() {
    if (!next()) play(false);
  }

  function listen() {
    button.addEventListener("click", () => play(!timer));
    speed.addEventListener("change", () => play(Boolean(timer)));
    for (const kind of ["pointerdown", "keydown"]) {
      document.addEventListener(kind, (event) => {
        if (timer && !event.target.closest("#play, #speed")) play(false);
      });
    }
  }

  return { listen };
}
