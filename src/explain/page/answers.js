"use strict";
// Reads a typed answer: `run` gives its number from the values of the page, `named` says whether it
// names any.
const readFormula = (() => {
  // Reads sums, products, powers, brackets, calls, numbers and the names of nodes.
  function parse(text) {
    const plain = text
      .replace(/[·×]/g, "*").replace(/−/g, "-").replace(/\^/g, "**").replace(/²/g, "**2")
      .replace(/(?:∂|d)\w+\s*\/\s*(?:∂|d)(\w+)/g, "d$1");
    const tokens = plain.match(/\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|\*\*|[A-Za-z_]\w*|\S/gi) || [];
    let position = 0;
    let named = false;
    const take = (...signs) => (signs.includes(tokens[position]) ? tokens[position++] : null);
    const need = (sign) => {
      if (!take(sign)) throw new Error(`"${sign}" is missing`);
    };
    function sum() {
      let left = product();
      for (let sign; (sign = take("+", "-")); ) {
        const [a, b] = [left, product()];
        left = sign === "+" ? (v) => a(v) + b(v) : (v) => a(v) - b(v);
      }
      return left;
    }
    function product() {
      let left = signed();
      for (let sign; (sign = take("*", "/")); ) {
        const [a, b] = [left, signed()];
        left = sign === "*" ? (v) => a(v) * b(v) : (v) => a(v) / b(v);
      }
      return left;
    }
    function signed() {
      if (take("-")) {
        const inner = signed();
        return (v) => -inner(v);
      }
      const base = atom();
      if (!take("**")) return base;
      const exponent = signed();
      return (v) => Math.pow(base(v), exponent(v));
    }
    function atom() {
      const token = tokens[position++];
      if (token === undefined) throw new Error("something is missing at the end");
      if (token === "(") {
        const inner = sum();
        need(")");
        return inner;
      }
      if (/^[\d.]/.test(token)) return () => Number(token);
      if (Object.hasOwn(DATA.names, token)) {
        named = true;
        return (v) => v[DATA.names[token]];
      }
      if (Object.hasOwn(FUNCTIONS, token)) {
        need("(");
        const inner = sum();
        need(")");
        return (v) => FUNCTIONS[token](inner(v));
      }
      throw new Error(`there is no ${token} here`);
    }
    const run = sum();
    if (position < tokens.length) throw new Error(`"${tokens[position]}" is out of place`);
    return { run, named };
  }

  return parse;
})();
