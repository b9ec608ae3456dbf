#include "gateway/control_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = GW_IDS_RESULT_MAX + 128, LINES_MAX = 4 * GW_IDS_MAX };

struct gw_ids {
    char *file, *next_file;
    int fd;         /* -1: memory only */
    size_t n_lines; /* in the file */
    bool is_dirty;
    size_t next; /* the slot that is overwritten next */
    struct gw_id ids[GW_IDS_MAX];
};

static uint64_t hash(uint64_t h, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211); /* FNV-1a */
    return h;
}

static const uint64_t seed = UINT64_C(14695981039346656037);

uint64_t gw_ids_key(const char *topic, const char *id)
{
    uint64_t key = hash(hash(seed, topic, strlen(topic) + 1), id, strlen(id));

    return key ? key : 1;
}

uint64_t gw_ids_content(const char *payload, size_t len)
{
    return hash(seed, payload, len);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static struct gw_id *find(struct gw_ids *ids, uint64_t key)
{
    for (size_t i = 0; i < GW_IDS_MAX; i++)
        if (ids->ids[i].key == key)
            return &ids->ids[i];
    return NULL;
}

const struct gw_id *gw_ids_find(const struct gw_ids *ids, uint64_t key)
{
    return find((struct gw_ids *)(uintptr_t)ids, key);
}

static void remember(struct gw_ids *ids, uint64_t key, uint64_t content)
{
    struct gw_id *id = find(ids, key);

    if (!id) {
        id = &ids->ids[ids->next];
        ids->next = (ids->next + 1) % GW_IDS_MAX;
    }
    memset(id, 0, sizeof *id);
    id->key = key;
    id->content = content;
}

static void keep_result(struct gw_id *id, const char *result, size_t len)
{
    id->is_done = true;
    id->result_len = len <= GW_IDS_RESULT_MAX ? (uint16_t)len : 0;
    memcpy(id->result, result, id->result_len);
}

/* ---- lines ----------------------------------------------------------------------------------------- */

/* "CHECKSUM B KEY CONTENT\n" and "CHECKSUM D KEY CONTENT RESULT\n", numbers in hexadecimal. */
static size_t print_line(char *line, const struct gw_id *id, char kind)
{
    char *body = line + 17;
    int n = snprintf(body, LINE_MAX_BYTES - 18, "%c %016" PRIx64 " %016" PRIx64 "%s%.*s", kind,
                     id->key, id->content, kind == 'D' ? " " : "",
                     kind == 'D' ? (int)id->result_len : 0, id->result);
    char checksum[18];

    snprintf(checksum, sizeof checksum, "%016" PRIx64 " ", hash(seed, body, (size_t)n));
    memcpy(line, checksum, 17);
    body[n] = '\n';
    return 17 + (size_t)n + 1;
}

/* Reads 16 hexadecimal digits. */
static bool read_hex(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (int i = 0; i < 16; i++) {
        char c = text[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_number = number;
    return true;
}

enum { AT_KIND = 17, AT_KEY = 19, AT_CONTENT = 36, AT_END = 52, AT_RESULT = 53 };

static void take_line(struct gw_ids *ids, const char *line, size_t len)
{
    uint64_t checksum, key, content;

    if (len < AT_END || !read_hex(line, &checksum) || !read_hex(line + AT_KEY, &key) ||
        !read_hex(line + AT_CONTENT, &content) ||
        hash(seed, line + AT_KIND, len - AT_KIND) != checksum || key == 0)
        return;
    if (line[AT_KIND] == 'B') {
        remember(ids, key, content);
    } else if (line[AT_KIND] == 'D') {
        if (!find(ids, key))
            remember(ids, key, content);
        keep_result(find(ids, key), line + AT_RESULT, len > AT_RESULT ? len - AT_RESULT : 0);
    }
}

static void read_lines(struct gw_ids *ids, FILE *in)
{
    char line[LINE_MAX_BYTES + 1];

    while (fgets(line, sizeof line, in)) {
        size_t len = strlen(line);

        ids->n_lines++;
        if (len > 0 && line[len - 1] == '\n') {
            line[len - 1] = '\0';
            take_line(ids, line, len - 1);
        }
    }
}

/* ---- the file -------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static void sync_folder(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *folder = slash ? strndup(file, slash == file ? 1 : (size_t)(slash - file)) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(folder);
}

/* Writes what is in memory to a new file, which takes the place of the old one. */
static bool rewrite(struct gw_ids *ids)
{
    char line[LINE_MAX_BYTES];
    bool is_good = true;
    int fd = open(ids->next_file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0)
        return false;
    ids->n_lines = 0;
    for (size_t i = 0; is_good && i < GW_IDS_MAX; i++) {
        const struct gw_id *id = &ids->ids[(ids->next + i) % GW_IDS_MAX];

        if (id->key == 0)
            continue;
        is_good = write_all(fd, line, print_line(line, id, id->is_done ? 'D' : 'B'));
        ids->n_lines++;
    }
    if (!is_good || fsync(fd) != 0 || rename(ids->next_file, ids->file) != 0) {
        close(fd);
        return false;
    }
    sync_folder(ids->file);
    if (ids->fd >= 0)
        close(ids->fd);
    ids->fd = fd;
    ids->is_dirty = false;
    return true;
}

static void append(struct gw_ids *ids, const struct gw_id *id, char kind)
{
    char line[LINE_MAX_BYTES];

    if (ids->fd < 0)
        return;
    if (!write_all(ids->fd, line, print_line(line, id, kind)))
        ids->n_lines = LINES_MAX; /* half a line may be there: begin anew */
    ids->n_lines++;
    ids->is_dirty = true;
}

struct gw_ids *gw_ids_new(const char *file, const char **ret_why)
{
    struct gw_ids *ids = calloc(1, sizeof *ids);
    FILE *in;

    *ret_why = NULL;
    if (!ids)
        return NULL;
    ids->fd = -1;
    ids->file = strdup(file);
    if (!ids->file || asprintf(&ids->next_file, "%s.new", file) < 0) {
        ids->next_file = NULL;
        gw_ids_free(ids);
        return NULL;
    }
    in = fopen(file, "re");
    if (in) {
        read_lines(ids, in);
        fclose(in);
    } else if (errno != ENOENT) {
        *ret_why = strerror(errno);
    }
    if (!*ret_why && !rewrite(ids)) /* also leaves torn lines behind */
        *ret_why = strerror(errno);
    return ids;
}

void gw_ids_free(struct gw_ids *ids)
{
    if (!ids)
        return;
    if (ids->fd >= 0) {
        (void)fdatasync(ids->fd);
        close(ids->fd);
    }
    free(ids->file);
    free(ids->next_file);
    free(ids);
}

void gw_ids_begin(struct gw_ids *ids, uint64_t key, uint64_t content)
{
    remember(ids, key, content);
    append(ids, find(ids, key), 'B');
}

bool gw_ids_sync(struct gw_ids *ids)
{
    if (ids->n_lines >= LINES_MAX)
        return rewrite(ids);
    if (ids->fd < 0)
        return false;
    if (!ids->is_dirty)
        return true;
    ids->is_dirty = fdatasync(ids->fd) != 0;
    return !ids->is_dirty;
}

void gw_ids_end(struct gw_ids *ids, uint64_t key, const char *result, size_t len)
{
    struct gw_id *id = find(ids, key);

    if (!id) /* forgotten: 256 newer ones have come */
        return;
    keep_result(id, result, len);
    append(ids, id, 'D');
}
