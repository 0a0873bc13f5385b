// SPDX-License-Identifier: MIT
// The window for streamed weights: the last ROWS rows of the weight memory are a ring buffer, which a stream
// fills in the order of use, and runs with `streamed` empty.
//
//   a row can be read one clock after it was accepted, and its slot refilled one clock after its last read
//
// A run reads all of its rows in the first pass (pixel, or tile with `per_tile`), each as soon as it arrives, and the
// same rows in every later pass; it releases each one in the last pass. `row_missing` stalls the loop nest if the
// next row has not arrived, and `stalls` counts the clocks in which nothing else stalled it.
// Python twin: `RowClock` in fixedpoint_nn/hardware/isa/weight_window.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module weight_window #(
    // Rows of the ring, at least 2, and the address of the first one.
    parameter ROWS = 512,
    parameter FIRST = 0,
    // Bits of a row's address.
    parameter ADDRESS_WIDTH = 16,
    // Bits of the counter of stalls, 1 to 32; it wraps to 0.
    parameter COUNTER_WIDTH = 32
) (
    input  wire                     clock,
    // Empties the ring: the stream restarts.
    input  wire                     reset,
    // Clears the counter.
    input  wire                     clear,

    // The stream: a row is accepted in a clock in which both are high. `hold` reserves the memory's write port.
    input  wire                     valid,
    output wire                     ready,
    input  wire                     hold,
    output reg  [ADDRESS_WIDTH-1:0] write_row,

    // The run, and the loop nest's state: it sets the run up; it issues a step, after which the rows restart; it is in
    // the last pass; it waits only for a missing row.
    input  wire                     streamed,
    input  wire                     set_up,
    input  wire                     issue,
    input  wire                     restart,
    input  wire                     last_pass,
    input  wire                     held,

    // The row of the step, and whether it has not arrived.
    output reg  [ADDRESS_WIDTH-1:0] read_row,
    output wire                     row_missing,
    output wire [31:0]              stalls
);
    localparam COUNT_WIDTH = $clog2(ROWS + 1);
    localparam [COUNT_WIDTH-1:0] NO_ROWS = 0, ONE_ROW = 1;
    localparam [31:0] LAST = FIRST + ROWS - 1, START = FIRST, ALL_BUT_ONE = ROWS - 1;
    localparam [COUNTER_WIDTH-1:0] NO_STALLS = 0, ONE_STALL = 1;

    initial begin
        if (ROWS < 2) $fatal(1, "%m: ROWS = %0d; a window needs at least 2 rows", ROWS);
    end

    // Rows in the ring, and those not yet read by any run; with their flags as separate bits.
    reg [COUNT_WIDTH-1:0] rows, unread;
    reg full, some_unread, first_pass;
    // The first row of the run, and the first row not yet read by any run.
    reg [ADDRESS_WIDTH-1:0] run_row, unread_row;
    reg [COUNTER_WIDTH-1:0] stall_count;

    assign ready = !full && !hold && !reset;
    wire take = valid && ready;
    wire read = streamed && issue;
    wire read_first = read && first_pass;
    wire read_last = read && last_pass;
    assign row_missing = streamed && first_pass && !some_unread;
    assign stalls = {{(32-COUNTER_WIDTH){1'b0}}, stall_count};

    wire [ADDRESS_WIDTH-1:0] after_read =
        read_row == LAST[ADDRESS_WIDTH-1:0] ? START[ADDRESS_WIDTH-1:0] : read_row + 1'b1;
    wire [ADDRESS_WIDTH-1:0] after_write =
        write_row == LAST[ADDRESS_WIDTH-1:0] ? START[ADDRESS_WIDTH-1:0] : write_row + 1'b1;

    always @(posedge clock) begin
        if (take) write_row <= after_write;
        if (take && !read_last) begin
            rows <= rows + ONE_ROW;
            full <= rows == ALL_BUT_ONE[COUNT_WIDTH-1:0];
        end else if (read_last && !take) begin
            rows <= rows - ONE_ROW;
            full <= 1'b0;
        end
        if (take && !read_first) begin
            unread <= unread + ONE_ROW;
            some_unread <= 1'b1;
        end else if (read_first && !take) begin
            unread <= unread - ONE_ROW;
            some_unread <= unread != ONE_ROW;
        end

        if (set_up) begin
            first_pass <= 1'b1;
            run_row <= unread_row;
            read_row <= unread_row;
        end else if (read) begin
            if (restart) first_pass <= 1'b0;
            read_row <= restart ? run_row : after_read;
        end
        if (read_first) unread_row <= after_read;

        if (clear) stall_count <= NO_STALLS;
        else if (held) stall_count <= stall_count + ONE_STALL;

        if (reset) begin
            write_row <= START[ADDRESS_WIDTH-1:0];
            unread_row <= START[ADDRESS_WIDTH-1:0];
            rows <= NO_ROWS;
            unread <= NO_ROWS;
            full <= 1'b0;
            some_unread <= 1'b0;
        end
    end
endmodule
`default_nettype wire
