#include "gateway/http_page.h"

#include <stddef.h>
#include <string.h>

/* Put in by the assembler, byte by byte as they are. */
#define EMBED(name, file)                                                                          \
    extern const char page_##name[], page_##name##_end[];                                          \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global page_" #name "\npage_" #name ":\n.incbin \"gateway/page/" file "\"\n"         \
            ".global page_" #name "_end\npage_" #name "_end:\n.byte 0\n"                           \
            ".popsection\n")

EMBED(html, "index.html");
EMBED(js, "page.js");
EMBED(css, "page.css");

const struct gw_http_page *gw_http_find_page(const char *path)
{
    static const struct gw_http_page pages[] = {
        {"/", "text/html; charset=utf-8", page_html, page_html_end},
        {"/page.js", "text/javascript; charset=utf-8", page_js, page_js_end},
        {"/page.css", "text/css; charset=utf-8", page_css, page_css_end},
    };

    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (strcmp(pages[i].path, path) == 0)
            return &pages[i];
    return NULL;
}
