"""Make src/explain/page/math.woff2: the glyphs of STIX Two Math that the pages' formulas need.

    npm pack @fontsource/stix-two-math@5.3.0 && tar xzf fontsource-stix-two-math-5.3.0.tgz
    pip install fonttools brotli
    python scripts/subset_font.py package/files/stix-two-math-latin-400-normal.woff2

The same font and the same fontTools give the same bytes. The licence,
src/explain/page/math.OFL.txt, reserves a name and STIX is a trademark, so what is made here has a
name of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FAMILY: Final = "Wengert Math"
OUT: Final = Path(__file__).parents[1] / "src" / "explain" / "page" / "math.woff2"
SIGNS: Final = "\u00a0·×÷±−–—…′″‖|²³¬∂∇∞∑∏√∧\N{LOGICAL OR}⊕⊙⊘≤≥≠≈→←↦⊤⌊⌋⌈⌉“”‘’«»"  # noqa: RUF001
RANGES: Final = (
    (0x20, 0x7E),  # ASCII
    (0x391, 0x3C9),  # Greek, upright
    (0x3D1, 0x3D6),  # its variants
    (0x3F0, 0x3F5),  # more of them
    (0x1D434, 0x1D467),  # Latin letters in italics, which a letter on its own is set in
    (0x210E, 0x210E),  # h in italics
    (0x1D6E2, 0x1D71B),  # Greek letters in italics
)
"""The characters kept; the sizes of brackets and roots come along by the font's MATH table."""
WIDEST: Final = {"radical": 794, "summation": 2000, "product": 2000}
BRACKET: Final = 450
"""How wide the larger sizes may be. Browsers keep room for the widest size a bracket or root can
have, whichever is drawn (MathML Core, 3.2.4.1), so wide ones would leave gaps behind small ones."""


def main(source: str) -> None:
    """Write the subset of the font in `source`."""
    font = TTFont(source, recalcTimestamp=False)
    options = Options(
        flavor="woff2",
        hinting=False,
        layout_features=[],
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14],
        notdef_outline=True,
        drop_tables=[*Options().drop_tables, "GDEF", "GPOS", "GSUB"],
    )
    subsetter = Subsetter(options)
    kept = {code for low, high in RANGES for code in range(low, high + 1)} | set(map(ord, SIGNS))
    subsetter.populate(unicodes=kept)
    subsetter.subset(font)
    _narrow(font)
    _rename(font)
    font.flavor = "woff2"
    font.save(OUT)
    cmap = font.getBestCmap()
    missing = "".join(chr(code) for code in sorted(kept - cmap.keys()) if chr(code).isprintable())
    print(f"{OUT}: {len(font.getGlyphOrder())} glyphs, {OUT.stat().st_size:,} bytes")  # noqa: T201
    print(f"not in the font: {missing or 'nothing'}")  # noqa: T201


def _narrow(font: TTFont) -> None:
    """Larger sizes drawn narrower, where they are wider than `WIDEST` and `BRACKET` say."""
    variants = font["MATH"].table.MathVariants
    done: set[str] = set()
    signs = zip(variants.VertGlyphCoverage.glyphs, variants.VertGlyphConstruction, strict=True)
    for sign, construction in signs:
        parts = construction.GlyphAssembly.PartRecords if construction.GlyphAssembly else []
        drawn = [record.VariantGlyph for record in construction.MathGlyphVariantRecord]
        for name in {*drawn, *(part.glyph for part in parts)} - done:
            done.add(name)
            width, bearing = font["hmtx"][name]
            factor = WIDEST.get(sign, BRACKET) / width
            if factor < 1:
                glyph = font["glyf"][name]
                glyph.coordinates.scale((factor, 1))
                glyph.recalcBounds(font["glyf"])
                font["hmtx"][name] = (round(width * factor), round(bearing * factor))


def _rename(font: TTFont) -> None:
    """Its own name, and in the fields for them the copyright notice and the licence."""
    names = font["name"]
    version = names.getDebugName(5)
    compact = FAMILY.replace(" ", "")
    for id, text in (
        (1, FAMILY),
        (3, f"{compact}; a subset of STIX Two Math {version}"),
        (4, FAMILY),
        (5, f"{version}; subset"),
        (6, f"{compact}-Regular"),
        (13, "This Font Software is licensed under the SIL Open Font License, Version 1.1."),
        (14, "https://openfontlicense.org"),
    ):
        names.setName(text, id, 3, 1, 0x409)


if __name__ == "__main__":
    main(*sys.argv[1:])
