// SPDX-License-Identifier: MIT
// Bytes from a serial line: a start bit (0), eight bits, lowest first, a stop bit (1); no parity.
//
//   valid (one clock, in the middle of the stop bit) = `data` is a byte; one without a stop bit is dropped
//
// Python twin: a byte.
`default_nettype none
module uart_receiver #(
    // Clocks per bit, 4 to 65536.
    parameter DIVIDER = 16
) (
    input  wire       clock,
    input  wire       reset,
    input  wire       rx,
    output reg  [7:0] data,
    output reg        valid
);
    localparam [15:0] BIT = DIVIDER[15:0] - 16'd1;
    localparam [15:0] HALF = (DIVIDER[15:0] >> 1) - 16'd2;

    // The line is asynchronous: two synchronising registers.
    reg [2:0] settled;
    reg [15:0] timer;
    // Remaining bits: 10 is the start bit, 1 the stop bit, 0 an idle line.
    reg [3:0] left;
    initial {settled, timer, left, valid} = {3'b111, 16'd0, 4'd0, 1'b0};

    always @(posedge clock) begin
        settled <= {settled[1:0], rx};
        valid <= 1'b0;
        if (left == 4'd0) begin
            timer <= HALF;
            if (settled[2:1] == 2'b10) left <= 4'd10;
        end else if (timer != 16'd0) timer <= timer - 16'd1;
        else begin
            timer <= BIT;
            left <= left == 4'd10 && settled[1] ? 4'd0 : left - 4'd1;
            if (left == 4'd1) valid <= settled[1];
            else data <= {settled[1], data[7:1]};
        end
        if (reset) {left, valid} <= 5'd0;
    end
endmodule
`default_nettype wire
