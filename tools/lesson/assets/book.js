// Draws the Mermaid pictures, with the library that lies in the book: nothing comes over a network.
(() => {
    const blocks = document.querySelectorAll("code.language-mermaid");
    if (blocks.length === 0) {
        return;
    }
    const sources = new Map();
    for (const block of blocks) {
        const picture = document.createElement("pre");
        picture.className = "mermaid";
        sources.set(picture, block.textContent);
        block.closest("pre").replaceWith(picture);
    }
    const isDark = () => ["coal", "navy", "ayu"].some((theme) => document.documentElement.classList.contains(theme));
    let drawnDark = null;
    const draw = async () => {
        // Paper is white.
        const dark = isDark() && !window.matchMedia("print").matches;
        if (dark === drawnDark) {
            return;
        }
        drawnDark = dark;
        for (const [picture, source] of sources) {
            picture.removeAttribute("data-processed");
            picture.textContent = source;
        }
        window.mermaid.initialize({ startOnLoad: false, theme: dark ? "dark" : "default", securityLevel: "strict" });
        await window.mermaid.run({ nodes: [...sources.keys()] });
        // A wide one gets more room, and where there is none it can be moved rather than shrunk until nobody can read it.
        for (const drawing of document.querySelectorAll("pre.mermaid svg")) {
            const width = parseFloat(drawing.style.maxWidth) || 0;
            drawing.style.minWidth = `min(${width}px, 60rem)`;
            drawing.closest("pre").classList.toggle("wide", width > 800);
        }
    };
    const library = document.createElement("script");
    library.src = path_to_root + "assets/mermaid.min.js";
    library.onload = () => {
        draw();
        new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["class"] });
    };
    // Without it the sources are there to read.
    library.onerror = () => sources.forEach((source, picture) => { picture.textContent = source; });
    document.head.append(library);
})();
