/* one_cpu. The publisher hands every message to a thread of the MQTT library, which hands it to the socket. With both
 * awake on two processors each message costs several switches of context, which is more than all other work on it.
 * On one processor, and as SCHED_BATCH, a woken thread waits until the other has done its batch. */
#include "gateway/one_cpu.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

void gw_one_cpu_gather(void)
{
    const struct sched_param param = {0};
    const int cpu = sched_getcpu();
    cpu_set_t one;

    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    CPU_ZERO(&one);
    CPU_SET((unsigned)cpu, &one);
    (void)sched_setaffinity(0, sizeof one, &one);
}

void gw_one_cpu_spread(void)
{
    cpu_set_t all;

    /* The main thread has what the process was started with. */
    if (sched_getaffinity(getpid(), sizeof all, &all) == 0)
        (void)sched_setaffinity(0, sizeof all, &all);
}
