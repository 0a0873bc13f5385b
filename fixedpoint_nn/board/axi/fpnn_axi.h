/* SPDX-License-Identifier: MIT */
/* The driver of an engine behind axi_engine.v, over its registers alone. C11; no operating system is needed.
 *
 * Every call returns 0, or -1 with a sentence in `engine->error`. Where registers are not memory (a simulation, a bus
 * behind another one), define FPNN_AXI_READ(engine, offset) and FPNN_AXI_WRITE(engine, offset, value) before. */
#ifndef FPNN_AXI_H
#define FPNN_AXI_H
#include "fpnn_axi_registers.h"
#include <stddef.h>
#include <stdint.h>

typedef struct {
    volatile void *registers;
    uint32_t lanes, drain, activation_width, weight_width, bias_width, multiplier_width;
    uint32_t activation_depth, weight_depth, parameter_depth, table_depth, program_depth, clock_khz, content;
    const char *error;
} fpnn_axi;

typedef struct {
    int busy, done, accumulator_overflow;
    uint32_t cycles, mac_cycles, saturations, argmax;
} fpnn_axi_status;

/* A value in the activation memory: blocks of `run` words, whose starts are `stride` words apart. */
typedef struct {
    uint32_t address, words, run, stride;
} fpnn_axi_place;

enum { FPNN_AXI_PROGRAM, FPNN_AXI_WEIGHTS, FPNN_AXI_PARAMETERS, FPNN_AXI_TABLES };

#ifndef FPNN_AXI_READ
#define FPNN_AXI_READ(engine, offset) (((volatile uint32_t *)(engine)->registers)[(offset) / 4])
#define FPNN_AXI_WRITE(engine, offset, value) (((volatile uint32_t *)(engine)->registers)[(offset) / 4] = (value))
#endif
#define FPNN_AXI_AT(name) ((uint32_t)offsetof(axi_engine_t, name))

static inline int fpnn_axi_fail(fpnn_axi *engine, const char *why)
{
    engine->error = why;
    return -1;
}

/* Check that an engine answers at these registers, and read its parameters. */
static inline int fpnn_axi_open(fpnn_axi *engine, volatile void *registers)
{
    engine->registers = registers;
    engine->error = "";
    if (FPNN_AXI_READ(engine, FPNN_AXI_AT(IDENTIFICATION)) != AXI_ENGINE__IDENTIFICATION__LETTERS_reset)
        return fpnn_axi_fail(engine, "there is no engine at these registers; is it their address?");
    if (FPNN_AXI_READ(engine, FPNN_AXI_AT(VERSION)) >> AXI_ENGINE__VERSION__MAJOR_bp != AXI_ENGINE__VERSION__MAJOR_reset)
        return fpnn_axi_fail(engine, "the engine has another version of the registers; build it again");
    engine->lanes = FPNN_AXI_READ(engine, FPNN_AXI_AT(LANES));
    engine->drain = FPNN_AXI_READ(engine, FPNN_AXI_AT(DRAIN));
    engine->activation_width = FPNN_AXI_READ(engine, FPNN_AXI_AT(ACTIVATION_WIDTH));
    engine->weight_width = FPNN_AXI_READ(engine, FPNN_AXI_AT(WEIGHT_WIDTH));
    engine->bias_width = FPNN_AXI_READ(engine, FPNN_AXI_AT(BIAS_WIDTH));
    engine->multiplier_width = FPNN_AXI_READ(engine, FPNN_AXI_AT(MULTIPLIER_WIDTH));
    engine->activation_depth = FPNN_AXI_READ(engine, FPNN_AXI_AT(ACTIVATION_DEPTH));
    engine->weight_depth = FPNN_AXI_READ(engine, FPNN_AXI_AT(WEIGHT_DEPTH));
    engine->parameter_depth = FPNN_AXI_READ(engine, FPNN_AXI_AT(PARAMETER_DEPTH));
    engine->table_depth = FPNN_AXI_READ(engine, FPNN_AXI_AT(TABLE_DEPTH));
    engine->program_depth = FPNN_AXI_READ(engine, FPNN_AXI_AT(PROGRAM_DEPTH));
    engine->clock_khz = FPNN_AXI_READ(engine, FPNN_AXI_AT(CLOCK_KHZ));
    engine->content = FPNN_AXI_READ(engine, FPNN_AXI_AT(CONTENT));
    return 0;
}

static inline int fpnn_axi_at_rest(fpnn_axi *engine)
{
    if (FPNN_AXI_READ(engine, FPNN_AXI_AT(STATUS)) & AXI_ENGINE__STATUS__BUSY_bm)
        return fpnn_axi_fail(engine, "the engine is busy; wait for it, or reset it");
    return 0;
}

/* Write words of the activation memory; the engine must not be running. */
static inline int fpnn_axi_write(fpnn_axi *engine, uint32_t address, const int32_t *words, uint32_t count)
{
    int64_t half = (int64_t)1 << (engine->activation_width - 1);
    if (address > engine->activation_depth || count > engine->activation_depth - address)
        return fpnn_axi_fail(engine, "the activation memory has not so many words");
    for (uint32_t n = 0; n < count; n++)
        if (words[n] < -half || words[n] >= half) return fpnn_axi_fail(engine, "a word has more bits than the engine's");
    if (fpnn_axi_at_rest(engine)) return -1;
    FPNN_AXI_WRITE(engine, FPNN_AXI_AT(WORD_ADDRESS), address);
    for (uint32_t n = 0; n < count; n++) FPNN_AXI_WRITE(engine, FPNN_AXI_AT(WORD_DATA), (uint32_t)words[n]);
    return 0;
}

/* Read words of the activation memory; the engine must not be running. */
static inline int fpnn_axi_read(fpnn_axi *engine, uint32_t address, int32_t *words, uint32_t count)
{
    if (address > engine->activation_depth || count > engine->activation_depth - address)
        return fpnn_axi_fail(engine, "the activation memory has not so many words");
    if (fpnn_axi_at_rest(engine)) return -1;
    FPNN_AXI_WRITE(engine, FPNN_AXI_AT(WORD_ADDRESS), address);
    for (uint32_t n = 0; n < count; n++) words[n] = (int32_t)FPNN_AXI_READ(engine, FPNN_AXI_AT(WORD_DATA));
    return 0;
}

/* Write one value to its blocks of the activation memory. */
static inline int fpnn_axi_write_value(fpnn_axi *engine, const fpnn_axi_place *place, const int32_t *words)
{
    uint32_t address = place->address;
    for (uint32_t first = 0; first < place->words; first += place->run, address += place->stride) {
        uint32_t part = place->words - first < place->run ? place->words - first : place->run;
        if (fpnn_axi_write(engine, address, words + first, part)) return -1;
    }
    return 0;
}

/* Read one value from its blocks. */
static inline int fpnn_axi_read_value(fpnn_axi *engine, const fpnn_axi_place *place, int32_t *words)
{
    uint32_t address = place->address;
    for (uint32_t first = 0; first < place->words; first += place->run, address += place->stride) {
        uint32_t part = place->words - first < place->run ? place->words - first : place->run;
        if (fpnn_axi_read(engine, address, words + first, part)) return -1;
    }
    return 0;
}

/* The 32-bit parts of a word at the load port: as many as the widest memory needs. */
static inline uint32_t fpnn_axi_chunks(const fpnn_axi *engine)
{
    uint32_t bits = engine->lanes * engine->weight_width;
    uint32_t parameters = engine->drain * (engine->multiplier_width + 6 + engine->bias_width);
    if (bits < parameters) bits = parameters;
    return (bits + 31) / 32;
}

/* Load words into FPNN_AXI_PROGRAM, _WEIGHTS, _PARAMETERS or _TABLES, each of `fpnn_axi_chunks` parts, lowest first. */
static inline int fpnn_axi_load(fpnn_axi *engine, int memory, uint32_t address, const uint32_t *parts, uint32_t count)
{
    const uint32_t depths[4] = { engine->program_depth, engine->weight_depth, engine->parameter_depth, engine->table_depth };
    uint32_t chunks = fpnn_axi_chunks(engine);
    if (memory < 0 || memory > 3) return fpnn_axi_fail(engine, "there is no such memory");
    if (address > depths[memory] || count > depths[memory] - address)
        return fpnn_axi_fail(engine, "the engine is built with less memory");
    if (fpnn_axi_at_rest(engine)) return -1;
    for (uint32_t n = 0; n < count; n++) {
        for (uint32_t chunk = 0; chunk < chunks; chunk++)
            FPNN_AXI_WRITE(engine, FPNN_AXI_AT(LOAD_DATA), parts[n * chunks + chunk]);
        FPNN_AXI_WRITE(engine, FPNN_AXI_AT(LOAD_COMMIT), (uint32_t)memory << AXI_ENGINE__LOAD_COMMIT__MEMORY_bp | (address + n));
    }
    return 0;
}

/* Run the program from its first word. */
static inline int fpnn_axi_start(fpnn_axi *engine, uint32_t seed)
{
    if (fpnn_axi_at_rest(engine)) return -1;
    FPNN_AXI_WRITE(engine, FPNN_AXI_AT(SEED), seed);
    FPNN_AXI_WRITE(engine, FPNN_AXI_AT(CONTROL), AXI_ENGINE__CONTROL__RUN_bm);
    return 0;
}

/* Abort a run or transfer; memories and registers keep their contents. */
static inline void fpnn_axi_reset(fpnn_axi *engine)
{
    FPNN_AXI_WRITE(engine, FPNN_AXI_AT(CONTROL), AXI_ENGINE__CONTROL__ABORT_bm);
}

/* Read the status registers of the run. */
static inline void fpnn_axi_read_status(fpnn_axi *engine, fpnn_axi_status *status)
{
    uint32_t flags = FPNN_AXI_READ(engine, FPNN_AXI_AT(STATUS));
    status->busy = (flags & AXI_ENGINE__STATUS__BUSY_bm) != 0;
    status->done = (flags & AXI_ENGINE__STATUS__DONE_bm) != 0;
    status->accumulator_overflow = (flags & AXI_ENGINE__STATUS__ACCUMULATOR_OVERFLOW_bm) != 0;
    status->cycles = FPNN_AXI_READ(engine, FPNN_AXI_AT(CYCLES));
    status->mac_cycles = FPNN_AXI_READ(engine, FPNN_AXI_AT(MAC_CYCLES));
    status->saturations = FPNN_AXI_READ(engine, FPNN_AXI_AT(SATURATIONS));
    status->argmax = FPNN_AXI_READ(engine, FPNN_AXI_AT(ARGMAX));
}

/* Wait until the run has ended, for at most this many reads of the status. */
static inline int fpnn_axi_wait(fpnn_axi *engine, uint32_t questions, fpnn_axi_status *status)
{
    for (; questions; questions--)
        if (!(FPNN_AXI_READ(engine, FPNN_AXI_AT(STATUS)) & AXI_ENGINE__STATUS__BUSY_bm)) {
            fpnn_axi_read_status(engine, status);
            return status->done ? 0 : fpnn_axi_fail(engine, "the engine was reset while it ran; start it again");
        }
    return fpnn_axi_fail(engine, "the engine still runs; wait longer, or reset it");
}

/* These events (AXI_ENGINE__INTERRUPT_ENABLE__*_bm), and no others, raise `irq`. */
static inline void fpnn_axi_enable_interrupt(fpnn_axi *engine, uint32_t events)
{
    FPNN_AXI_WRITE(engine, FPNN_AXI_AT(INTERRUPT_ENABLE), events);
}

/* The events since the last call, which are cleared; for an interrupt routine. */
static inline uint32_t fpnn_axi_take_interrupts(fpnn_axi *engine)
{
    uint32_t events = FPNN_AXI_READ(engine, FPNN_AXI_AT(INTERRUPT_PENDING));
    FPNN_AXI_WRITE(engine, FPNN_AXI_AT(INTERRUPT_PENDING), events);
    return events;
}

#endif
