// SPDX-License-Identifier: MIT
// A board in a simulator: uart_engine, its serial line bit by bit, and the line's other end on standard input and
// output.
//
// The bench prints, and a program beside it (fixedpoint_nn/board/process.py) reads:
//   =hh   the chip has sent this byte
//   -     idle; is there a byte for the chip? The answer may take any time, because simulated time does not advance
//   b     busy; is there a byte for the chip?
// Each question is answered by two hexadecimal digits, or by `--`: no byte now, and ten bits pass. The end of the
// input ends the simulation. With CLOCK_PORT defined the clock comes from outside (uart_engine_tb.cpp). With TOP
// defined the board is a module `top`, such as a netlist, of which only its pins are known: it counts as busy for
// some time after each byte.
`default_nettype none
`ifdef CLOCK_PORT
module uart_engine_tb (clock);
    input wire clock;
`else
module uart_engine_tb;
    reg clock = 1'b0;
    always #5 clock = ~clock;
`endif
    parameter DIVIDER = 8;
    parameter TIMEOUT = 100000;
    parameter CLOCK_KHZ = 0;
    parameter CONTENT = 0;
    parameter LANES = 8;
    parameter DRAIN = 1;
    parameter WORDS = 1;
    parameter PACK = 1;
    parameter ACTIVATION_WIDTH = 16;
    parameter WEIGHT_WIDTH = 16;
    parameter ACCUMULATOR_WIDTH = 48;
    parameter BIAS_WIDTH = 32;
    parameter MULTIPLIER_WIDTH = 0;
    parameter MODEL_WIDTH = 0;
    parameter MODEL_SATURATE = 0;
    parameter PRODUCT_BITS = 0;
    parameter PRODUCT_SHIFT = 0;
    parameter PRODUCT_SIGNED = 1;
    parameter PRODUCT_ROUNDING = 0;
    parameter PRODUCT_OVERFLOW = 0;
    parameter ACTIVATION_DEPTH = 4096;
    parameter WEIGHT_DEPTH = 4096;
    parameter PARAMETER_DEPTH = 512;
    parameter TABLE_DEPTH = 4096;
    parameter PROGRAM_DEPTH = 1024;
    parameter HOST_WRITES = 0;
    // Every memory holds its image, a file in the folder where the simulation runs (1), or is undefined (0).
    parameter BUILT_IN = 1;

    localparam [31:0] STANDARD_INPUT = 32'h8000_0000;

    reg rx = 1'b1;
    integer wait_for = 0, heard = 0;
    wire tx, busy, done, idle;
`ifdef TOP
    localparam RECENT_BYTES = 40;
    integer recent = RECENT_BYTES;
    top u_board (.clk(clock), .rx(rx), .tx(tx), .led({done, busy}));
    assign idle = recent == 0;
    always @(posedge clock)
        if (heard != 0 || !rx) recent <= 10 * DIVIDER * RECENT_BYTES;
        else if (!idle) recent <= recent - 1;
`else
    uart_engine #(
        .DIVIDER(DIVIDER), .TIMEOUT(TIMEOUT), .CLOCK_KHZ(CLOCK_KHZ), .CONTENT(CONTENT),
        .LANES(LANES), .DRAIN(DRAIN), .WORDS(WORDS), .PACK(PACK),
        .ACTIVATION_WIDTH(ACTIVATION_WIDTH), .WEIGHT_WIDTH(WEIGHT_WIDTH),
        .ACCUMULATOR_WIDTH(ACCUMULATOR_WIDTH), .BIAS_WIDTH(BIAS_WIDTH), .MULTIPLIER_WIDTH(MULTIPLIER_WIDTH),
        .MODEL_WIDTH(MODEL_WIDTH), .MODEL_SATURATE(MODEL_SATURATE), .PRODUCT_BITS(PRODUCT_BITS),
        .PRODUCT_SHIFT(PRODUCT_SHIFT),
        .PRODUCT_SIGNED(PRODUCT_SIGNED), .PRODUCT_ROUNDING(PRODUCT_ROUNDING), .PRODUCT_OVERFLOW(PRODUCT_OVERFLOW),
        .ACTIVATION_DEPTH(ACTIVATION_DEPTH), .WEIGHT_DEPTH(WEIGHT_DEPTH), .PARAMETER_DEPTH(PARAMETER_DEPTH),
        .TABLE_DEPTH(TABLE_DEPTH), .PROGRAM_DEPTH(PROGRAM_DEPTH),
        .HOST_WRITES(HOST_WRITES), .ACTIVATION_IMAGE(BUILT_IN != 0 ? "activations.mem" : ""),
        .WEIGHT_IMAGE(BUILT_IN != 0 ? "weights.mem" : ""), .PARAMETER_IMAGE(BUILT_IN != 0 ? "parameters.mem" : ""),
        .TABLE_IMAGE(BUILT_IN != 0 ? "tables.mem" : ""), .PROGRAM_IMAGE(BUILT_IN != 0 ? "program.mem" : "")
    ) u_board (.clock(clock), .rx(rx), .tx(tx), .busy(busy), .done(done), .idle(idle));
`endif

    // To the chip: a byte (or nothing) every ten bits.
    // The chip is in reset at first.
    integer clocks = 64, bits = 0, high, low;
    reg [9:0] line = 10'h3FF;

    function integer digit(input integer symbol);
        digit = symbol >= "0" && symbol <= "9" ? symbol - "0" : symbol >= "a" && symbol <= "f" ? symbol - "a" + 10 : -1;
    endfunction

    always @(posedge clock)
        if (clocks != 0) clocks <= clocks - 1;
        else begin
            clocks <= DIVIDER - 1;
            {line, rx} <= {1'b1, line};
            bits <= bits - 1;
            if (bits == 0) begin
                bits <= 9;
                $write("%s", busy === 1'b1 || !idle || heard != 0 || !tx ? "b" : "-");
                $fflush;
                high = $fgetc(STANDARD_INPUT);
                low = $fgetc(STANDARD_INPUT);
                if (high < 0 || low < 0) $finish;
                if (digit(high) >= 0 && digit(low) >= 0) begin
                    rx <= 1'b0;
                    line <= 10'h300 | (digit(high) << 4) | digit(low);
                end
            end
        end

    // From the chip: each bit is sampled in its middle.
    reg [7:0] letter;
    always @(posedge clock)
        if (wait_for != 0) wait_for <= wait_for - 1;
        else if (heard == 0) begin
            if (!tx) begin
                wait_for <= DIVIDER + DIVIDER / 2 - 2;
                heard <= 9;
            end
        end else begin
            wait_for <= DIVIDER - 1;
            heard <= heard - 1;
            if (heard == 1) begin
                wait_for <= 0;
                $write("%s", "=");
                $write("%02x", letter);
            end else letter <= {tx, letter[7:1]};
        end
endmodule
`default_nettype wire
