// SPDX-License-Identifier: MIT
// A window of the weights that come from outside: the last ROWS rows of the weight memory are a ring, which a stream
// fills in the order of use and runs with `streamed` empty.
//
//   a row may be read one clock after it was taken, and its place filled one clock after it was read for the last time
//
// A run reads all of its rows in the first pass (pixel, or tile with `per_tile`), each as soon as it is there, and the
// same rows in every later pass; it gives each one back in the last pass. `row_missing` holds the loop nest where the
// next row is not there yet, and `stalls` counts the clocks in which nothing else held it.
// Python twin: `RowClock` in fixedpoint_nn/hardware/isa/weight_window.py.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module weight_window #(
    // Rows of the ring, at least 2, and the address of the first one.
    parameter ROWS = 512,
    parameter FIRST = 0,
    // Bits of a row's address.
    parameter ADDRESS_WIDTH = 16,
    // Bits of the counter of stalls, 1 to 32; it starts again from 0.
    parameter COUNTER_WIDTH = 32
) (
    input  wire                     clock,
    // Empties the ring: the stream begins anew.
    input  wire                     reset,
    // Clears the counter.
    input  wire                     clear,

    // The stream: a row is taken in a clock in which both are high. `hold` keeps the memory's write port for another.
    input  wire                     valid,
    output wire                     ready,
    input  wire                     hold,
    output reg  [ADDRESS_WIDTH-1:0] write_row,

    // The run, and what the loop nest does with it: sets it up, issues a step, after which the rows begin again; is in
    // the last pass; is held by nothing but a missing row.
    input  wire                     streamed,
    input  wire                     set_up,
    input  wire                     issue,
    input  wire                     restart,
    input  wire                     last_pass,
    input  wire                     held,

    // The row of the step, and that it is not there.
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

    // Rows in the ring, and of those the ones that no run has read yet; with what they say in a bit of its own.
    reg [COUNT_WIDTH-1:0] rows, unread;
    reg full, some_unread, first_pass;
    // The first row of the run, and the first row that no run has read yet.
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
