/* http_page: the files of the status page, which are inside of the program. */
#ifndef GW_HTTP_PAGE_H
#define GW_HTTP_PAGE_H

struct gw_http_page {
    const char *path, *type;
    const char *begin, *end;
};

/* NULL when there is none of this path. */
const struct gw_http_page *gw_http_find_page(const char *path);

#endif
