/* one_cpu: keeps a thread and those that it starts together on one processor, so that handing work from one to the
 * other costs no wake-up across processors. Where the system does not allow it, nothing changes but the cost. */
#ifndef GW_ONE_CPU_H
#define GW_ONE_CPU_H

/* Keeps the calling thread, and threads that it starts from now on, on the processor on which it happens to run. */
void gw_one_cpu_gather(void);
/* Lets the calling thread run wherever the process may. The next gather takes the processor that it is on then. */
void gw_one_cpu_spread(void);

#endif
