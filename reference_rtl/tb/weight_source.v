// SPDX-License-Identifier: MIT
// A memory outside of the engine that streams the weights of a network repeatedly: the rows of one sample in the order
// of use, then those of the next one.
//
// Plusargs:
//   +stream=F +stream_words=N     a file of N rows, hexadecimal, one per line
//   [+stream_clocks=B]            a row is offered B clocks after the row before was taken (default: 1)
//   [+stream_latency=L]           the first row of a sample is offered L clocks after `start` (default: 1)
//   [+stream_random=S]            instead, rows are offered after random pauses, from the end of reset on, whether or
//                                 not the engine has started
//   [+arrivals=F]                 writes "sample cycle" for every row that the engine takes: the cycle counted from
//                                 that sample's start, 0 for all before it
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module weight_source #(
    // Bits of a row.
    parameter WIDTH = 64
) (
    input  wire             clock,
    input  wire             reset,
    input  wire             start,
    input  wire             busy,
    // The engine's counter of cycles: the number of the cycle minus one.
    input  wire [31:0]      cycles,
    // The current sample of the engine, or the next one; negative before the first.
    input  wire signed [31:0] sample,

    output reg              valid,
    input  wire             ready,
    output reg  [WIDTH-1:0] row
);
    localparam NAME_BITS = 8 * 1024;

    reg [NAME_BITS-1:0] name;
    integer file, arrivals, rows, clocks, latency, seed, place, pause, status, rows_sample;
    // The state of a xorshift generator of period 2**32 - 1.
    reg [31:0] draw;
    reg random, slow, sending;

    task reopen;
        begin
            if (file != 0) $fclose(file);
            file = $fopen(name, "r");
            if (file == 0) $fatal(1, "FAIL: the stream of weights cannot be read");
            place = 0;
        end
    endtask

    // The next row of the stream.
    task offer;
        begin
            if (place == rows) reopen;
            status = $fscanf(file, "%h", row);
            if (status != 1 || ^row === 1'bx)
                $fatal(1, "FAIL: row %0d of the stream of weights is missing or not hexadecimal", place);
            place = place + 1;
            valid <= 1'b1;
        end
    endtask

    // Clocks until the next row: one or a few, sometimes many; with an odd seed more often a few.
    task draw_pause;
        begin
            draw = draw ^ (draw << 13);
            draw = draw ^ (draw >> 17);
            draw = draw ^ (draw << 5);
            if (draw[7:0] < (slow ? 8'd60 : 8'd200)) pause = 1;
            else pause = draw[7:0] < 8'd250 ? 2 + {30'd0, draw[9:8]} : 20 + {26'd0, draw[13:8]};
        end
    endtask

    initial begin
        valid = 1'b0;
        sending = 1'b0;
        file = 0;
        arrivals = 0;
        rows_sample = 0;
        pause = 0;
        if (!$value$plusargs("stream_clocks=%d", clocks)) clocks = 1;
        if (!$value$plusargs("stream_latency=%d", latency)) latency = 1;
        if (clocks < 1 || latency < 1)
            $fatal(1, "FAIL: +stream_clocks=%0d +stream_latency=%0d; use at least 1", clocks, latency);
        random = $value$plusargs("stream_random=%d", seed) != 0;
        if (!random) seed = 0;
        slow = seed[0];
        draw = {seed[15:0], 16'h1234} ^ seed;
        if (draw == 32'd0) draw = 32'd1;
        if ($value$plusargs("arrivals=%s", name)) begin
            arrivals = $fopen(name, "w");
            if (arrivals == 0) $fatal(1, "FAIL: the file of arrivals cannot be written");
        end
        if (!$value$plusargs("stream_words=%d", rows)) $fatal(1, "FAIL: +stream_words= is missing");
        if (!$value$plusargs("stream=%s", name) && rows > 0) $fatal(1, "FAIL: +stream= is missing");
        place = rows;
    end

    always @(posedge clock) begin
        if (valid && ready) begin
            if (arrivals != 0)
                $fdisplay(arrivals, "%0d %0d", rows_sample, busy && rows_sample == sample ? cycles + 1 : 0);
            if (place == rows) begin
                rows_sample = rows_sample + 1;
                if (!random) sending = 1'b0;
            end
            valid <= 1'b0;
            pause = clocks;
            if (random) draw_pause;
        end else if (start && !random) begin
            sending = rows != 0;
            pause = latency;
        end
        if (sending && pause > 0) begin
            pause = pause - 1;
            if (pause == 0) offer;
        end
        if (reset) begin
            valid <= 1'b0;
            if (rows != 0) reopen;
            rows_sample = sample < 0 ? 0 : sample;
            sending = random && rows != 0;
            pause = sending ? 1 : 0;
        end
    end
endmodule
`default_nettype wire
