// SPDX-License-Identifier: MIT
// weight_window.v between a stream and runs that come at random, against a memory of row numbers: every step reads its
// row as soon as that has arrived and not before, the stream stalls only while the ring is full, and no row is lost
// when the ring is emptied.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module weight_window_tb;
    parameter ROWS = 8;
    parameter FIRST = 0;
    localparam ADDRESS_WIDTH = 8;
    localparam CLOCKS = 20000;
    localparam [2:0] IDLE = 3'd0, SET_UP = 3'd1, STEP = 3'd2;

    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg reset, clear, valid, hold, streamed, set_up, blocked, stepping;
    wire ready, row_missing;
    wire [ADDRESS_WIDTH-1:0] write_row, read_row;
    wire [31:0] stalls;
    // Number of a step in its pass, and of the pass; a run of `rows` rows and `passes` passes.
    integer step, pass, rows, passes;
    wire issue = stepping && !blocked && !row_missing;
    wire restart = step == rows - 1;
    wire last_pass = pass == passes - 1;

    weight_window #(.ROWS(ROWS), .FIRST(FIRST), .ADDRESS_WIDTH(ADDRESS_WIDTH), .COUNTER_WIDTH(16)) u_weight_window (
        .clock(clock), .reset(reset), .clear(clear), .valid(valid), .ready(ready), .hold(hold), .write_row(write_row),
        .streamed(streamed), .set_up(set_up), .issue(issue), .restart(restart), .last_pass(last_pass),
        .held(stepping && !blocked && row_missing), .read_row(read_row), .row_missing(row_missing), .stalls(stalls)
    );

    // The content of the memory: the number of the row at each address, counted from the last reset.
    integer places [0:(1 << ADDRESS_WIDTH)-1];
    integer taken, given_back, run_first, waits, number, steps, state, slow;
    reg issued, took;
    // The row that a step of a streamed run reads, and the expected outputs in this clock.
    wire [31:0] due = run_first + step;
    wire there = due < taken;
    wire may_take = taken - given_back < ROWS && !hold && !reset;

    task fail(input [8*16-1:0] what, input integer got, input integer expected);
        $fatal(1, "FAIL: vector %0d: %0s is %0d, expected %0d", number, what, got, expected);
    endtask

    initial begin
        taken = 0;
        given_back = 0;
        run_first = 0;
        waits = 0;
        steps = 0;
        state = IDLE;
        step = 0;
        pass = 0;
        rows = 1;
        passes = 1;
        slow = 0;
        {reset, clear, valid, hold, streamed, set_up, blocked, stepping} = 8'b11000000;
        for (number = 0; number < CLOCKS; number = number + 1) begin
            @(negedge clock);
            // The next clock's inputs.
            if (number % 512 == 0) slow = $random & 7;
            reset = number == 0 || ($random & 2047) == 0;
            clear = reset || ($random & 255) == 0;
            hold = ($random & 31) == 0;
            valid = ($random & 7) > slow || valid && !ready;
            blocked = ($random & 3) == 0;
            if (reset) state = IDLE;
            set_up = state == SET_UP;
            stepping = state == STEP;
            if (set_up) begin
                streamed = ($random & 7) != 0;
                rows = 1 + ($random & 15);
                passes = ($random & 1) == 0 || rows > ROWS ? 1 : 1 + ($random & 3);
                step = 0;
                pass = 0;
            end
            #1;
            // The expected outputs.
            if (ready !== may_take) fail("ready", ready, may_take);
            if (valid && ready && write_row !== FIRST + taken % ROWS)
                fail("the place to fill", write_row, FIRST + taken % ROWS);
            if (stepping && row_missing !== (streamed && !there))
                fail("a missing row", row_missing, streamed && !there);
            if (issue && streamed && places[read_row] !== due) fail("the row", places[read_row], due);
            if (issue && streamed && (read_row < FIRST || read_row >= FIRST + ROWS)) fail("the place", read_row, FIRST);
            if (number > 0 && stalls !== waits) fail("stalls", stalls, waits);
            issued = issue;
            took = valid && ready;
            waits = clear ? 0 : waits + (stepping && !blocked && row_missing);
            // The next state.
            @(posedge clock);
            #1;
            if (issued && streamed && last_pass) given_back = given_back + 1;
            if (took) begin
                places[FIRST + taken % ROWS] = taken;
                taken = taken + 1;
            end
            if (issued) begin
                steps = steps + 1;
                step = step + 1;
                if (step == rows) begin
                    step = 0;
                    pass = pass + 1;
                    if (pass == passes) begin
                        if (streamed) run_first = run_first + rows;
                        state = ($random & 3) == 0 ? IDLE : SET_UP;
                        pass = passes - 1;
                        step = rows - 1;
                    end
                end
            end else if (state == SET_UP) state = STEP;
            else if (state == IDLE && ($random & 1) == 0) state = SET_UP;
            if (reset) begin
                taken = 0;
                given_back = 0;
                run_first = 0;
            end
        end
        if (steps < CLOCKS / 8) $fatal(1, "FAIL: only %0d steps in %0d clocks", steps, CLOCKS);
        $display("PASS: %0d vectors", CLOCKS);
        $finish;
    end
endmodule
`default_nettype wire
