/* link: what any driver needs on a descriptor of a terminal or a TCP connection, so that each of them has only its own rules:
 * waiting and reading (link.c), opening a device file (link_tty.c), connecting a socket (link_tcp.c), the pty of a
 * simulation (link_pty.c). Knows no frames, no keys and no driver. Linked into each plug-in that calls it; nothing of it is
 * exported. */
#ifndef DRIVER_LINK_H
#define DRIVER_LINK_H

#include "gateway/driver.h"

struct addrinfo;

/* Waits until fd can be read (POLLIN) or written (POLLOUT); fd -1 only waits.
 * Errors: GW_E_TIMEOUT at until_us, GW_E_CLOSED when wake_fd is readable. A hung-up fd counts as readable: reading tells. */
GW_MUST_CHECK enum gw_err link_wait(const struct gw_host *host, int fd, short events, int wake_fd,
                                    int64_t until_us);
/* Reads what is there without waiting. GW_E_TIMEOUT: nothing; GW_E_LINK: the link is gone. */
GW_MUST_CHECK enum gw_err link_read(int fd, uint8_t *bytes, size_t size, size_t *ret_len);

/* Opens a device file and locks it, before anybody touches its settings. The descriptor holds the lock and is a second one,
 * since libraries open the port by themselves. -1 with errno: ENOTTY when it is no terminal, EWOULDBLOCK when it is locked. */
int link_lock_tty(const char *path);
/* Sets a baud rate exactly, also one without a termios constant. False: the port cannot within 2 %. */
bool link_set_exact_baud(int fd, int64_t baud);
/* Says what is wrong with the port that the user calls `name`: in words, or those for errno of the device file `path`.
 * Gives GW_E_LINK. */
enum gw_err link_say(struct gw_driver_diag *diag, const char *name, const char *what);
enum gw_err link_say_errno(struct gw_driver_diag *diag, const char *name, const char *path,
                           int error);

/* Finds the addresses of a host. The look-up blocks; it is done only when the host is not an address.
 * Errors: GW_E_LINK with the sentence in diag.
 * Owns:   *ret_list by the caller, for link_dial. */
GW_MUST_CHECK enum gw_err link_look_up(const char *host, const char *service,
                                       struct addrinfo **ret_list, struct gw_driver_diag *diag);
/* Connects to the first address that answers, each with its share of the time. The socket never blocks and finds out within
 * a minute that the peer is gone. Takes the list.
 * Errors: GW_E_TIMEOUT; GW_E_LINK with errno; GW_E_CLOSED when the core wants the thread back. */
GW_MUST_CHECK enum gw_err link_dial(struct addrinfo *list, const struct gw_host *host,
                                    int64_t deadline_us, int *ret_fd);

struct link_pty {
    const char *path; /* of the link to it */
    int fd,
        other_fd; /* the second one, its far side, keeps it alive while nobody has opened it; -1: closed */
};

/* Makes a raw pty and a link to it. After an error nothing is left to close.
 * Errors: GW_E_LINK with the sentence in diag, such as when anything but an older link of ours is in the way.
 * Owns:   path is borrowed until the closing. */
GW_MUST_CHECK enum gw_err link_open_pty(struct link_pty *pty, const char *path,
                                        struct gw_driver_diag *diag);
/* Removes the link, unless it leads elsewhere by now. May be called again. */
void link_close_pty(struct link_pty *pty);

#endif
