/* values: short ways to write typed values in tests. */
#ifndef TEST_VALUES_H
#define TEST_VALUES_H

#include <string.h>

#include "gateway/value.h"

#define INT_(x)    ((struct gw_value){.kind = GW_INT, .i = (x)})
#define UINT_(x)   ((struct gw_value){.kind = GW_UINT, .u = (x)})
#define BOOL_(x)   ((struct gw_value){.kind = GW_BOOL, .b = (x)})
#define F32_(x)    ((struct gw_value){.kind = GW_FLOAT32, .f32 = (x)})
#define F64_(x)    ((struct gw_value){.kind = GW_FLOAT64, .f64 = (x)})
#define DEC_(d, e) ((struct gw_value){.kind = GW_DECIMAL, .dec = {(d), (e)}})
#define TEXT_(s)   ((struct gw_value){.kind = GW_TEXT, .text = {(s), strlen(s)}})
#define NONE_      ((struct gw_value){.kind = GW_NONE})

#endif
