function f(w, b, x, y) {
    "use strict";
    const [w0, w1] = w;
    const [x0, x1] = x;
    // forward
    const t0 = w0*x0;
    const t1 = w1*x1;
    const t2 = t0 + t1;
    const n = t2 + b;
    const o = Math.tanh(n);
    const t3 = o - y;
    const loss = t3*t3;
    // backward
    const do__2 = 2.0*t3;
    const t4 = o*o;
    const t5 = 1.0 - t4;
    const db = do__2*t5;
    const dw1 = db*x1;
    const dw0 = db*x0;
    return {"loss": loss, "grad": [dw0, dw1, db]};
}
