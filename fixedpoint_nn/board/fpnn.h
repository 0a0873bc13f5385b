/* SPDX-License-Identifier: MIT
 *
 * Driver of an engine on a board, for C99 on POSIX systems: the same calls as fixedpoint_nn.board.Engine in Python.
 *
 *     fpnn_engine engine;
 *     if (fpnn_open(&engine, "/dev/ttyUSB0", 1000000)) return puts(engine.error), 1;
 *     fpnn_write(&engine, input_address, input, input_words);
 *     fpnn_start(&engine, 1);
 *     fpnn_wait(&engine, 10.0, &status);
 *     fpnn_read(&engine, output_address, output, output_words);
 *
 * Every call returns 0, or -1 with a sentence in `error`; a later call may succeed. docs/board.md describes the protocol.
 */
#ifndef FPNN_H
#define FPNN_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FPNN_VERSION 2
#define FPNN_CHUNK 1024  /* bytes of words in one request or answer */
#define FPNN_ATTEMPTS 3  /* of a request whose answer is damaged or missing */
#define FPNN_QUIET 0.05  /* seconds without a byte after which the line is idle */

enum { FPNN_IDENTIFY = 1, FPNN_STATUS = 2, FPNN_RESET = 3, FPNN_START = 4, FPNN_READ = 5, FPNN_WRITE = 6, FPNN_LOAD = 8 };
enum { FPNN_PROGRAM = 0, FPNN_WEIGHTS = 1, FPNN_PARAMETERS = 2, FPNN_TABLES = 3 };  /* memories of fpnn_load */
enum { FPNN_DONE = 0, FPNN_DAMAGED = 1, FPNN_CUT_SHORT = 2, FPNN_BUSY = 3, FPNN_UNKNOWN = 4 };

typedef struct {
    int busy, done, accumulator_overflow;
    uint32_t cycles, mac_cycles, saturations, argmax;
} fpnn_status;

typedef struct {
    int file, disturbed, busy;  /* busy: the last request was refused because the engine runs */
    uint8_t tag;
    double seconds;  /* without a byte after which a call gives up */
    /* The board's answer to `identify`. */
    int lanes, drain, activation_width, weight_width, accumulator_width, bias_width, multiplier_width;
    int host_writes;  /* fpnn_write may be called while the engine runs */
    uint32_t activation_depth, weight_depth, parameter_depth, table_depth, program_depth, clock_khz, content;
    char error[256];
} fpnn_engine;

static inline int fpnn_fail(fpnn_engine *engine, const char *what, const char *why)
{
    snprintf(engine->error, sizeof engine->error, "%s: %s", what, why);
    return -1;
}

/* CRC-16 with the polynomial x^16 + x^12 + x^5 + 1, continued from `crc`. */
static inline uint16_t fpnn_checksum(uint16_t crc, const uint8_t *bytes, size_t count)
{
    while (count--) {
        crc ^= (uint16_t)(*bytes++ << 8);
        for (int bit = 0; bit < 8; bit++) crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

static inline uint32_t fpnn_number(const uint8_t *bytes, int count)
{
    uint32_t number = 0;
    while (count--) number = number << 8 | bytes[count];
    return number;
}

static inline double fpnn_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Up to `most` bytes; 0 after `seconds` of silence, -1 if the line broke off. */
static inline int fpnn_receive(fpnn_engine *engine, uint8_t *bytes, size_t most, double seconds)
{
    struct pollfd line = { engine->file, POLLIN, 0 };
    int ready = poll(&line, 1, (int)(1000 * seconds));
    if (ready == 0 || (ready < 0 && errno == EINTR)) return 0;
    ssize_t count = ready < 0 ? -1 : read(engine->file, bytes, most);
    return count > 0 ? (int)count : -1;
}

static inline int fpnn_exactly(fpnn_engine *engine, uint8_t *bytes, size_t count)
{
    for (size_t have = 0; have < count;) {
        int more = fpnn_receive(engine, bytes + have, count - have, engine->seconds);
        if (more < 0) return fpnn_fail(engine, "the line to the board broke off", "plug the cable in and open it again");
        if (more == 0) return fpnn_fail(engine, "the board did not answer in time", "is it on, and built with this design?");
        have += (size_t)more;
    }
    return 0;
}

/* Send one request, and receive its answer's content (at most FPNN_CHUNK bytes) and length. */
static inline int fpnn_exchange(
    fpnn_engine *engine, uint8_t command, const uint8_t arguments[5], const uint8_t *words, size_t bytes,
    uint8_t *content, size_t *length, int *result)
{
    uint8_t message[10 + FPNN_CHUNK + 2], answer[5 + FPNN_CHUNK + 2];
    size_t count = 10;
    message[0] = 0xA5;
    message[1] = ++engine->tag;
    message[2] = command;
    memcpy(message + 3, arguments, 5);
    uint16_t crc = fpnn_checksum(0xFFFF, message + 1, 7);
    message[8] = (uint8_t)(crc >> 8);
    message[9] = (uint8_t)crc;
    if (bytes) {
        memcpy(message + 10, words, bytes);
        crc = fpnn_checksum(0xFFFF, words, bytes);
        message[10 + bytes] = (uint8_t)(crc >> 8);
        message[11 + bytes] = (uint8_t)crc;
        count += bytes + 2;
    }
    for (size_t sent = 0; sent < count;) {
        ssize_t more = write(engine->file, message + sent, count - sent);
        if (more < 0 && errno != EINTR) return fpnn_fail(engine, "the line to the board broke off", strerror(errno));
        if (more > 0) sent += (size_t)more;
    }
    for (;;) {  /* skip late answers, and noise between them */
        do {
            if (fpnn_exactly(engine, answer, 1)) return -1;
        } while (answer[0] != 0x5A);
        if (fpnn_exactly(engine, answer + 1, 4)) return -1;
        *length = fpnn_number(answer + 3, 2);
        if (*length > FPNN_CHUNK) return fpnn_fail(engine, "the answer of the board is damaged", "call again");
        if (fpnn_exactly(engine, answer + 5, *length + 2)) return -1;
        if (fpnn_checksum(0xFFFF, answer + 1, 4 + *length + 2))
            return fpnn_fail(engine, "the answer of the board is damaged", "call again");
        *result = answer[2];
        if (answer[1] == engine->tag || *result == FPNN_DAMAGED || *result == FPNN_CUT_SHORT) break;
    }
    if (content) memcpy(content, answer + 5, *length);
    return 0;
}

static inline int fpnn_ask(
    fpnn_engine *engine, uint8_t command, uint32_t address, uint32_t count, const uint8_t *words, size_t bytes,
    uint8_t *content, size_t *length)
{
    uint8_t none[5] = { 0 }, arguments[5] = {
        (uint8_t)address, (uint8_t)(address >> 8), (uint8_t)(address >> 16), (uint8_t)count, (uint8_t)(count >> 8)
    };
    uint8_t noise[FPNN_CHUNK];
    size_t size = 0;
    int result = FPNN_UNKNOWN;
    if (command == FPNN_START) arguments[3] = (uint8_t)(address >> 24);
    /* The chip may take the first request for the rest of one that was cut off. */
    for (int attempt = 0; engine->disturbed; attempt++) {
        double end = fpnn_now() + engine->seconds;
        while (fpnn_receive(engine, noise, sizeof noise, FPNN_QUIET) > 0)
            if (fpnn_now() > end) return fpnn_fail(engine, "the board sends without being asked", "is this its port?");
        int failed = fpnn_exchange(engine, FPNN_STATUS, none, NULL, 0, NULL, &size, &result);
        if (!failed && result == FPNN_DONE) engine->disturbed = 0;
        else if (attempt == FPNN_ATTEMPTS - 1)
            return failed ? -1 : fpnn_fail(engine, "the line to the board is disturbed", "look at the cable");
    }
    engine->disturbed = 1;
    if (fpnn_exchange(engine, command, arguments, words, bytes, content, length ? length : &size, &result)) return -1;
    engine->disturbed = 0;
    engine->busy = result == FPNN_BUSY;
    switch (result) {
    case FPNN_DONE: return 0;
    case FPNN_DAMAGED: return fpnn_fail(engine, "the request arrived damaged", "what it wrote is undefined; call again");
    case FPNN_CUT_SHORT: return fpnn_fail(engine, "a part of the request was lost", "what it wrote is undefined; call again");
    case FPNN_BUSY: return fpnn_fail(engine, "the engine is running", "wait for it, or reset it");
    default: return fpnn_fail(engine, "the board knows no such request", "build it again with this version");
    }
}

/* Read the engine's parameters into the fields of `engine`. */
static inline int fpnn_identify(fpnn_engine *engine)
{
    uint8_t about[FPNN_CHUNK];
    size_t length;
    if (fpnn_ask(engine, FPNN_IDENTIFY, 0, 0, NULL, 0, about, &length)) return -1;
    if (length != 37 || about[0] != FPNN_VERSION)
        return fpnn_fail(engine, "the board speaks another version of the protocol", "build it again");
    engine->lanes = about[1] + 1;
    engine->drain = about[2] & 31;  // above it, how many words a step reads
    engine->activation_width = about[3];
    engine->weight_width = about[4];
    engine->accumulator_width = about[5];
    engine->bias_width = about[6];
    engine->multiplier_width = about[7] & 63;  // above it, whether two lanes share a multiplier
    engine->host_writes = about[7] >> 6 & 1;
    engine->activation_depth = fpnn_number(about + 15, 3);
    engine->weight_depth = fpnn_number(about + 18, 3);
    engine->parameter_depth = fpnn_number(about + 21, 3);
    engine->table_depth = fpnn_number(about + 24, 3);
    engine->program_depth = fpnn_number(about + 27, 3);
    engine->clock_khz = fpnn_number(about + 30, 3);
    engine->content = fpnn_number(about + 33, 4);
    return 0;
}

static inline void fpnn_close(fpnn_engine *engine)
{
    if (engine->file >= 0) close(engine->file);
    engine->file = -1;
}

/* Open a serial port (or a pseudo-terminal), and identify the board. */
static inline int fpnn_open(fpnn_engine *engine, const char *port, int baud)
{
    struct termios settings;
    memset(engine, 0, sizeof *engine);
    engine->seconds = 1.0;
    engine->disturbed = 1;
    engine->file = open(port, O_RDWR | O_NOCTTY);
    if (engine->file < 0) return fpnn_fail(engine, port, strerror(errno));
    speed_t speed = baud == 115200 ? B115200 : 0;
#ifdef B1000000
    if (baud == 1000000) speed = B1000000;
#endif
#ifdef B2000000
    if (baud == 2000000) speed = B2000000;
#endif
    int bad = tcgetattr(engine->file, &settings);
    if (!bad && speed) {
        settings.c_iflag = settings.c_oflag = settings.c_lflag = 0;
        settings.c_cflag = CS8 | CREAD | CLOCAL;
        settings.c_cc[VMIN] = 1;
        settings.c_cc[VTIME] = 0;
        bad = cfsetispeed(&settings, speed) || cfsetospeed(&settings, speed) || tcsetattr(engine->file, TCSANOW, &settings);
    }
    if (bad || !speed) {
        fpnn_close(engine);
        return fpnn_fail(engine, port, bad ? "it is no serial port" : "use 115200, 1000000 or 2000000 bits per second");
    }
    if (!fpnn_identify(engine)) return 0;
    fpnn_close(engine);
    return -1;
}

static inline int fpnn_range(fpnn_engine *engine, uint32_t address, size_t count, uint32_t depth)
{
    if (address + count <= depth) return 0;
    snprintf(engine->error, sizeof engine->error, "words up to %zu are asked for and the memory holds %u", address + count, depth);
    return -1;
}

/* Write words of the activation memory. If `host_writes` is not 0 the engine may be running; where it leaves no clock for a
 * word in time, `busy` is then set, and the words are to be written again when it is done. Else it must not be running. */
static inline int fpnn_write(fpnn_engine *engine, uint32_t address, const int32_t *words, size_t count)
{
    uint8_t bytes[FPNN_CHUNK];
    size_t size = (size_t)(engine->activation_width + 7) / 8, step = FPNN_CHUNK / size;
    int32_t half = (int32_t)(1LL << (engine->activation_width - 1));
    if (fpnn_range(engine, address, count, engine->activation_depth)) return -1;
    for (size_t n = 0; n < count && half > 0; n++)
        if (words[n] < -half || words[n] >= half) return fpnn_fail(engine, "a word does not fit", "it has more bits than the engine's");
    for (size_t first = 0; first < count; first += step) {
        size_t part = count - first < step ? count - first : step;
        for (size_t n = 0; n < part; n++)
            for (size_t b = 0; b < size; b++) bytes[n * size + b] = (uint8_t)((uint32_t)words[first + n] >> 8 * b);
        if (fpnn_ask(engine, FPNN_WRITE, address + (uint32_t)first, (uint32_t)part, bytes, part * size, NULL, NULL)) return -1;
    }
    return 0;
}

/* Read words of the activation memory; the engine must not be running. */
static inline int fpnn_read(fpnn_engine *engine, uint32_t address, int32_t *words, size_t count)
{
    uint8_t bytes[FPNN_CHUNK];
    size_t size = (size_t)(engine->activation_width + 7) / 8, step = FPNN_CHUNK / size, length;
    if (fpnn_range(engine, address, count, engine->activation_depth)) return -1;
    for (size_t first = 0; first < count; first += step) {
        size_t part = count - first < step ? count - first : step;
        if (fpnn_ask(engine, FPNN_READ, address + (uint32_t)first, (uint32_t)part, NULL, 0, bytes, &length)) return -1;
        if (length != part * size) return fpnn_fail(engine, "the answer of the board is too short", "call again");
        for (size_t n = 0; n < part; n++) {
            uint32_t word = fpnn_number(bytes + n * size, (int)size);
            uint32_t sign = 1u << (8 * size - 1);
            words[first + n] = (int32_t)((word ^ sign) - sign);
        }
    }
    return 0;
}

/* Compare words of the activation memory with `wanted`; returns how many differ, or -1; `first` is the first of them. */
static inline int fpnn_compare(fpnn_engine *engine, uint32_t address, const int32_t *wanted, size_t count, size_t *first)
{
    int different = 0;
    for (size_t n = 0; n < count; n++) {
        int32_t word[64];
        size_t part = count - n < 64 ? count - n : 64;
        if (fpnn_read(engine, address + (uint32_t)n, word, part)) return -1;
        for (size_t k = 0; k < part; k++)
            if (word[k] != wanted[n + k] && different++ == 0) *first = n + k;
        n += part - 1;
    }
    return different;
}

/* The bytes of a word at the load port: as many as the widest memory needs. */
static inline size_t fpnn_load_bytes(const fpnn_engine *engine)
{
    int bits = engine->lanes * engine->weight_width, parameters = engine->drain * (engine->multiplier_width + 6 + engine->bias_width);
    if (bits < parameters) bits = parameters;
    if (bits < 32) bits = 32;
    return (size_t)(bits + 7) / 8;
}

/* Load an image (a .mem file of a pack) into FPNN_PROGRAM, FPNN_WEIGHTS, FPNN_PARAMETERS or FPNN_TABLES. */
static inline int fpnn_load(fpnn_engine *engine, int memory, const char *path)
{
    const uint32_t depths[4] = { engine->program_depth, engine->weight_depth, engine->parameter_depth, engine->table_depth };
    size_t size = fpnn_load_bytes(engine), step = FPNN_CHUNK / size, have = 0;
    uint8_t bytes[FPNN_CHUNK];
    char line[600];
    uint32_t address = 0;
    int more = 1;
    FILE *file = fopen(path, "r");
    if (!file) return fpnn_fail(engine, path, strerror(errno));
    while (more) {
        more = fgets(line, sizeof line, file) != NULL;
        if (more) {
            size_t digits = strspn(line, "0123456789abcdef");
            int bad = digits == 0 || digits > 2 * size || line[digits + strspn(line + digits, "\r\n")] != 0;
            if (bad || address + have >= depths[memory]) {
                fclose(file);
                return fpnn_fail(engine, path, bad ? "a line is no word of this engine" : "the engine on the board is built with less");
            }
            memset(bytes + have * size, 0, size);
            for (size_t n = 0; n < digits; n++) {
                char digit = line[digits - 1 - n];
                bytes[have * size + n / 2] |= (uint8_t)((digit <= '9' ? digit - '0' : digit - 'a' + 10) << (n % 2 ? 4 : 0));
            }
            have++;
        }
        if (have == step || (!more && have)) {
            if (fpnn_ask(engine, (uint8_t)(FPNN_LOAD + memory), address, (uint32_t)have, bytes, have * size, NULL, NULL)) {
                fclose(file);
                return -1;
            }
            address += (uint32_t)have;
            have = 0;
        }
    }
    fclose(file);
    return 0;
}

/* Run the program from its first word. */
static inline int fpnn_start(fpnn_engine *engine, uint32_t seed)
{
    return fpnn_ask(engine, FPNN_START, seed, 0, NULL, 0, NULL, NULL);
}

/* Abort a run; the memories keep their contents. */
static inline int fpnn_reset(fpnn_engine *engine)
{
    return fpnn_ask(engine, FPNN_RESET, 0, 0, NULL, 0, NULL, NULL);
}

/* Read the status registers of the run. */
static inline int fpnn_read_status(fpnn_engine *engine, fpnn_status *status)
{
    uint8_t about[FPNN_CHUNK];
    size_t length;
    if (fpnn_ask(engine, FPNN_STATUS, 0, 0, NULL, 0, about, &length)) return -1;
    if (length != 17) return fpnn_fail(engine, "the answer of the board is too short", "call again");
    status->busy = about[0] & 1;
    status->done = about[0] >> 1 & 1;
    status->accumulator_overflow = about[0] >> 2 & 1;
    status->cycles = fpnn_number(about + 1, 4);
    status->mac_cycles = fpnn_number(about + 5, 4);
    status->saturations = fpnn_number(about + 9, 4);
    status->argmax = fpnn_number(about + 13, 4);
    return 0;
}

/* Wait until the run has ended. */
static inline int fpnn_wait(fpnn_engine *engine, double seconds, fpnn_status *status)
{
    double end = fpnn_now() + seconds;
    for (;;) {
        if (fpnn_read_status(engine, status)) return -1;
        if (status->done) return 0;
        if (!status->busy) return fpnn_fail(engine, "the board was reset while it ran", "load, write and start again");
        if (fpnn_now() > end) return fpnn_fail(engine, "the engine still runs", "wait longer, or reset it");
    }
}

#endif
