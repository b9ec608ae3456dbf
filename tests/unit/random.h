/* random: numbers for property tests. The seed is printed and taken from FIELD2MQTT_SEED, so a failure repeats. */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct test_random {
    uint64_t state;
};

static inline uint64_t test_random_next(struct test_random *random)
{
    uint64_t z = random->state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline uint64_t test_random_below(struct test_random *random, uint64_t n)
{
    return test_random_next(random) % n;
}

static inline struct test_random test_random_start(void)
{
    const char *text = getenv("FIELD2MQTT_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL);

    printf("FIELD2MQTT_SEED=%llu\n", (unsigned long long)seed);
    return (struct test_random){.state = seed};
}

#endif
