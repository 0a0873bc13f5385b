// SPDX-License-Identifier: MIT
// Bytes onto a serial line: a start bit (0), eight bits, lowest first, a stop bit (1); no parity.
//
//   send (one clock, while ready) accepts `data`; ready is then low for 10 * DIVIDER clocks
//
// Python twin: a byte.
`default_nettype none
module uart_transmitter #(
    // Clocks per bit, 4 to 65536.
    parameter DIVIDER = 16
) (
    input  wire       clock,
    input  wire       reset,
    input  wire       send,
    input  wire [7:0] data,
    output wire       ready,
    output reg        tx
);
    localparam [15:0] BIT = DIVIDER[15:0] - 16'd1;

    reg [15:0] timer;
    reg [3:0] left;
    reg [8:0] coming;
    initial {timer, left, tx} = {16'd0, 4'd0, 1'b1};
    assign ready = left == 4'd0;

    always @(posedge clock) begin
        if (ready) begin
            timer <= BIT;
            coming <= {1'b1, data};
            if (send) {left, tx} <= {4'd10, 1'b0};
        end else if (timer != 16'd0) timer <= timer - 16'd1;
        else begin
            timer <= BIT;
            left <= left - 4'd1;
            {coming, tx} <= {1'b1, coming};
        end
        if (reset) {left, tx} <= {4'd0, 1'b1};
    end
endmodule
`default_nettype wire
