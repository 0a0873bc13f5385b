// SPDX-License-Identifier: MIT
// An engine behind a serial line: a board's top module connects a clock and two pins.
//
// Every memory can be loaded over the wire, or holds its image from the beginning (the *_IMAGE parameters). The wire
// protocol is told in host_link.v and docs/board.md. Reset is made here, in the first clocks after the
// configuration.
// Python twin: fixedpoint_nn/board/frames.py, and fixedpoint_nn/hardware/emulator/emulator.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module uart_engine #(
    // Clocks per bit of the serial line, 4 to 65535.
    parameter DIVIDER = 16,
    // Clocks of silence after which an incomplete request is aborted, 1 to 2**24 - 1.
    parameter TIMEOUT = 100000,
    // IDENTIFY's answer besides the engine's parameters: the clock in kHz,
    // and a number that identifies the build.
    parameter CLOCK_KHZ = 0,
    parameter [31:0] CONTENT = 32'd0,
    // The engine's parameters, as in engine.v.
    parameter LANES = 8,
    parameter DRAIN = 1,
    parameter WORDS = 1,
    parameter PACK = 1,
    parameter ACTIVATION_WIDTH = 16,
    parameter WEIGHT_WIDTH = 16,
    parameter ACCUMULATOR_WIDTH = 48,
    parameter BIAS_WIDTH = 32,
    parameter MULTIPLIER_WIDTH = 0,
    parameter MODEL_WIDTH = 0,
    parameter MODEL_SATURATE = 0,
    parameter PRODUCT_BITS = 0,
    parameter PRODUCT_SHIFT = 0,
    parameter PRODUCT_SIGNED = 1,
    parameter PRODUCT_ROUNDING = 0,
    parameter PRODUCT_OVERFLOW = 0,
    parameter ACTIVATION_DEPTH = 4096,
    parameter WEIGHT_DEPTH = 4096,
    parameter PARAMETER_DEPTH = 512,
    parameter TABLE_DEPTH = 4096,
    parameter PROGRAM_DEPTH = 1024,
    parameter HOST_WRITES = 0,
    parameter ACTIVATION_IMAGE = "",
    parameter WEIGHT_IMAGE = "",
    parameter PARAMETER_IMAGE = "",
    parameter TABLE_IMAGE = "",
    parameter PROGRAM_IMAGE = ""
) (
    input  wire clock,
    input  wire rx,
    output wire tx,
    // A program is running; it has ended, and its results are valid.
    output wire busy,
    output wire done,
    // No request is in progress.
    output wire idle
);
    localparam PARAMETER_WIDTH = DRAIN * (MULTIPLIER_WIDTH + 6 + BIAS_WIDTH);
    localparam WIDER_WIDTH = PARAMETER_WIDTH > 32 ? PARAMETER_WIDTH : 32;
    localparam LOAD_WIDTH = LANES * WEIGHT_WIDTH > WIDER_WIDTH ? LANES * WEIGHT_WIDTH : WIDER_WIDTH;

    // The identity: the protocol's version, fourteen parameters of a byte (of the lanes one less, above the drain the
    // words that a step reads, as a power of two, above the multiplier's bits whether two lanes share one), five
    // depths, the clock and the build. Between the multiplier's bits and the highest one: HOST_WRITES.
    localparam IDENTITY_BYTES = 37;
    localparam [31:0] LANES_BUT_ONE = LANES - 1, WORDS_BITS = $clog2(WORDS), PACK_BUT_ONE = PACK - 1;
    localparam [8*IDENTITY_BYTES-1:0] IDENTITY = {
        CONTENT, CLOCK_KHZ[23:0],
        PROGRAM_DEPTH[23:0], TABLE_DEPTH[23:0], PARAMETER_DEPTH[23:0], WEIGHT_DEPTH[23:0], ACTIVATION_DEPTH[23:0],
        PRODUCT_OVERFLOW[7:0], PRODUCT_ROUNDING[7:0], PRODUCT_SIGNED[7:0], PRODUCT_SHIFT[7:0], PRODUCT_BITS[7:0],
        MODEL_SATURATE[7:0], MODEL_WIDTH[7:0], PACK_BUT_ONE[0], HOST_WRITES[0], MULTIPLIER_WIDTH[5:0], BIAS_WIDTH[7:0],
        ACCUMULATOR_WIDTH[7:0], WEIGHT_WIDTH[7:0], ACTIVATION_WIDTH[7:0], WORDS_BITS[2:0], DRAIN[4:0],
        LANES_BUT_ONE[7:0], 8'd2
    };

    initial begin
        if (DIVIDER < 4 || DIVIDER > 65535) $fatal(1, "%m: DIVIDER = %0d; use 4 to 65535 clocks per bit", DIVIDER);
        if (LOAD_WIDTH > 2048) $fatal(1, "%m: a memory has words of %0d bits; the line loads 2048 at most", LOAD_WIDTH);
        if (TIMEOUT < 1 || TIMEOUT > 16777215) $fatal(1, "%m: TIMEOUT = %0d; use 1 to 16777215 clocks", TIMEOUT);
    end

    reg [3:0] power_up;
    initial power_up = 4'd15;
    wire reset = power_up != 4'd0;
    always @(posedge clock) if (reset) power_up <= power_up - 4'd1;

    wire [7:0] received, sent;
    wire received_valid, send, send_ready, engine_reset, start, host_write, load_enable, accumulator_overflow,
        host_turn;
    wire [31:0] seed, cycles, mac_cycles, saturations, argmax;
    wire [23:0] address;
    wire [1:0] load_memory;
    wire [LOAD_WIDTH-1:0] load_data;
    wire signed [ACTIVATION_WIDTH-1:0] host_write_data, host_read_data;

    uart_receiver #(.DIVIDER(DIVIDER)) u_receiver (
        .clock(clock), .reset(reset), .rx(rx), .data(received), .valid(received_valid)
    );
    uart_transmitter #(.DIVIDER(DIVIDER)) u_transmitter (
        .clock(clock), .reset(reset), .send(send), .data(sent), .ready(send_ready), .tx(tx)
    );
    host_link #(
        .TIMEOUT(TIMEOUT), .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .LOAD_WIDTH(LOAD_WIDTH),
        .HOST_WRITES(HOST_WRITES), .IDENTITY_BYTES(IDENTITY_BYTES), .IDENTITY(IDENTITY)
    ) u_link (
        .clock(clock), .reset(reset),
        .received(received), .received_valid(received_valid), .sent(sent), .send(send), .send_ready(send_ready),
        .idle(idle),
        .engine_reset(engine_reset), .start(start), .seed(seed), .busy(busy), .done(done),
        .host_turn(host_turn), .host_write(host_write), .address(address),
        .host_write_data(host_write_data), .host_read_data(host_read_data),
        .load_enable(load_enable), .load_memory(load_memory), .load_data(load_data),
        .cycles(cycles), .mac_cycles(mac_cycles), .saturations(saturations),
        .accumulator_overflow(accumulator_overflow), .argmax(argmax)
    );
    // All weights are in the engine.
    wire [LANES*WEIGHT_WIDTH-1:0] no_weights = 0;
    engine #(
        .LANES(LANES), .DRAIN(DRAIN), .WORDS(WORDS), .PACK(PACK),
        .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .ACCUMULATOR_WIDTH(ACCUMULATOR_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH),
        .MODEL_WIDTH(MODEL_WIDTH), .MODEL_SATURATE(MODEL_SATURATE), .PRODUCT_BITS(PRODUCT_BITS),
        .PRODUCT_SHIFT(PRODUCT_SHIFT),
        .PRODUCT_SIGNED(PRODUCT_SIGNED), .PRODUCT_ROUNDING(PRODUCT_ROUNDING), .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACTIVATION_DEPTH(ACTIVATION_DEPTH), .WEIGHT_DEPTH(WEIGHT_DEPTH), .PARAMETER_DEPTH(PARAMETER_DEPTH),
        .TABLE_DEPTH(TABLE_DEPTH), .PROGRAM_DEPTH(PROGRAM_DEPTH),
        .HOST_WRITES(HOST_WRITES),
        .ACTIVATION_IMAGE(ACTIVATION_IMAGE), .WEIGHT_IMAGE(WEIGHT_IMAGE), .PARAMETER_IMAGE(PARAMETER_IMAGE),
        .TABLE_IMAGE(TABLE_IMAGE), .PROGRAM_IMAGE(PROGRAM_IMAGE)
    ) u_engine (
        .clock(clock), .reset(reset || engine_reset), .start(start), .seed(seed), .busy(busy), .done(done),
        .host_write(host_write), .host_address(address), .host_write_data(host_write_data),
        .host_read_data(host_read_data),
        .load_enable(load_enable), .load_memory(load_memory), .load_address(address), .load_data(load_data),
        .host_turn(host_turn), .weight_valid(1'b0), .weight_ready(), .weight_row(no_weights),
        .cycles(cycles), .mac_cycles(mac_cycles), .saturations(saturations),
        .accumulator_overflow(accumulator_overflow), .argmax(argmax), .stalls()
    );
endmodule
`default_nettype wire
