/* Variables in texts, and what may be a topic. Expected: MQTT 3.1.1, 4.7 and 1.5.3, and the bounds of topic.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/topic.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static const struct gw_variable area = {"area", "hall/west", NULL};
static const struct gw_variable outer_point = {"point", "outer", &area};
static const struct gw_variable gateway = {"gateway", "plant", &outer_point};
static const struct gw_variable point = {"point", "level", &gateway};
static const char *const kept[] = {"value", "unit", NULL};

static void variables_are_replaced_the_innermost_first(void **state)
{
    static const struct {
        const char *text, *expanded;
    } rows[] = {
        {"${gateway}/${point}", "plant/level"},
        {"${area}", "hall/west"},
        {"plain", "plain"},
        {"", ""},
        {"a${point}b${point}c", "alevelblevelc"},
        {"$point ${value}${unit}", "$point ${value}${unit}"},
        {"$", "$"},
        {"}{", "}{"},
        {"$${point}", "$level"},
    };
    char buf[64], why[GW_TOPIC_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(gw_text_expand(rows[i].text, &point, kept, buf, sizeof buf, why), GW_OK);
        assert_string_equal(buf, rows[i].expanded);
    }
}

#define HERE "; here are ${point}, ${gateway}, ${area}, ${value}, ${unit}"

static void what_is_unknown_is_named_with_what_was_meant(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"${gatway}", "unknown variable ${gatway}; did you mean ${gateway}?"},
        {"${valeu}", "unknown variable ${valeu}; did you mean ${value}?"},
        {"${nothing_like_it}", "unknown variable ${nothing_like_it}" HERE},
        {"${}", "unknown variable ${}" HERE},
        {"x ${point", "\"${\" has no closing \"}\""},
    };
    char buf[64], why[GW_TOPIC_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(gw_text_expand(rows[i].text, &point, kept, buf, sizeof buf, why),
                         GW_E_CONFIG);
        assert_string_equal(why, rows[i].why);
    }
    assert_int_equal(gw_text_expand("${value}", &point, NULL, buf, sizeof buf, why), GW_E_CONFIG);
}

static void a_text_that_does_not_fit_is_refused_whole(void **state)
{
    char buf[12], why[GW_TOPIC_WHY];

    (void)state;
    memset(buf, 'x', sizeof buf);
    assert_int_equal(gw_text_expand("${gateway}/${point}", &point, NULL, buf, 12, why),
                     GW_OK); /* 11 and its NUL */
    assert_string_equal(buf, "plant/level");
    memset(buf, 'x', sizeof buf);
    assert_int_equal(gw_text_expand("${gateway}/${point}", &point, NULL, buf, 11, why), GW_E_RANGE);
    assert_int_equal(buf[11], 'x');
    assert_string_equal(why, "is too long with its variables put in (11 bytes; at most 10)");
}

static void topics_that_brokers_would_refuse_or_misread_are_refused(void **state)
{
    static const struct {
        const char *topic, *why;
    } rows[] = {
        {"", "is empty"},
        {"/a", "begins with \"/\", which makes an empty level"},
        {"a/", "ends with \"/\", which makes an empty level"},
        {"/", "begins with \"/\", which makes an empty level"},
        {"a//b", "has an empty level (\"//\")"},
        {"a/+/b", "holds a \"+\", which is for subscriptions only"},
        {"a/b#", "holds a \"#\", which is for subscriptions only"},
        {"$SYS/a", "begins with \"$\", which belongs to the broker"},
        {"${a}", "begins with \"$\", which belongs to the broker"},
        {"a\nb", "holds the control character 0x0A"},
        {"a\x7f", "holds the control character 0x7F"},
        {"a\xC2\x85", "holds the control character 0x85"},
    };
    char why[GW_TOPIC_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(gw_topic_check(rows[i].topic, false, why), GW_E_CONFIG);
        assert_string_equal(why, rows[i].why);
    }
}

static void good_topics_pass(void **state)
{
    static const char *const topics[] = {"a",
                                         "a/b/c",
                                         "a b/c",
                                         "plant1/$x",
                                         ("K\xC3\xB6ln/\xC2\xB0"
                                          "C"),
                                         "-/_/."};
    char why[GW_TOPIC_WHY];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(topics); i++)
        assert_int_equal(gw_topic_check(topics[i], false, why), GW_OK);
    assert_int_equal(gw_topic_check("${gateway}/x", true, why), GW_OK);
    assert_int_equal(gw_topic_check("$SYS/${gateway}", true, why), GW_E_CONFIG);
}

static void a_topic_has_at_most_256_bytes(void **state)
{
    char topic[258], why[GW_TOPIC_WHY];

    (void)state;
    memset(topic, 'a', sizeof topic);
    topic[256] = '\0';
    assert_int_equal(gw_topic_check(topic, false, why), GW_OK);
    topic[256] = 'a';
    topic[257] = '\0';
    assert_int_equal(gw_topic_check(topic, false, why), GW_E_CONFIG);
    assert_string_equal(why, "is too long (257 bytes; at most 256)");
    assert_int_equal(gw_topic_check(topic, true, why), GW_OK); /* what is put in may be shorter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_replaced_the_innermost_first),
        cmocka_unit_test(what_is_unknown_is_named_with_what_was_meant),
        cmocka_unit_test(a_text_that_does_not_fit_is_refused_whole),
        cmocka_unit_test(topics_that_brokers_would_refuse_or_misread_are_refused),
        cmocka_unit_test(good_topics_pass),
        cmocka_unit_test(a_topic_has_at_most_256_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
