function f(w, b, x, y) {
    "use strict";
    const [w0, w1] = w;
    let loss = 0.0;
    let dw0 = 0.0;
    let dw1 = 0.0;
    let db = 0.0;
    for (let i = 0; i < x.length; i++) {
        const [x0, x1] = x[i];
        const y_i = y[i];
        // forward
        const t0 = w0*x0;
        const t1 = w1*x1;
        const t2 = t0 + t1;
        const n = t2 + b;
        const o = Math.tanh(n);
        const t3 = o - y_i;
        const loss__2 = t3*t3;
        // backward
        const do__2 = 2.0*t3;
        const t4 = o*o;
        const t5 = 1.0 - t4;
        const dn = do__2*t5;
        const dw1__2 = dn*x1;
        const dw0__2 = dn*x0;
        loss += loss__2;
        dw0 += dw0__2;
        dw1 += dw1__2;
        db += dn;
    }
    return {"loss": loss, "grad": [dw0, dw1, db]};
}
