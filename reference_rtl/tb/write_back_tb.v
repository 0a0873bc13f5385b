// SPDX-License-Identifier: MIT
// write_back.v with a table of its own: results and addresses of random runs, in order.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module write_back_tb;
    parameter DRAIN = 1;
    localparam WIDTH = 8, ADDRESS = 10, RUNS = 60, CLOCKS = 100;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg configure, table_enable, noise_enable, pixel_end;
    reg [DRAIN-1:0] in_valid;
    reg [ADDRESS-1:0] output_base, pixel_step, clock_step, gap, table_base;
    reg [5:0] out_bits;
    reg [DRAIN*32-1:0] noise;
    reg [DRAIN*WIDTH-1:0] words;
    wire table_read;
    wire [DRAIN-1:0] result_valid;
    wire [DRAIN*ADDRESS-1:0] table_address;
    wire [ADDRESS-1:0] result_address;
    wire [DRAIN*WIDTH-1:0] results;
    reg [DRAIN*WIDTH-1:0] fetched, table_words;

    write_back #(.DRAIN(DRAIN), .WIDTH(WIDTH), .ADDRESS_WIDTH(ADDRESS)) u_write_back (
        .clock(clock), .reset(1'b0), .configure(configure), .output_base(output_base), .pixel_step(pixel_step),
        .clock_step(clock_step),
        .table_enable(table_enable), .table_base(table_base), .out_bits(out_bits), .noise_enable(noise_enable),
        .noise(noise),
        .in_valid(in_valid), .pixel_end(pixel_end), .words(words), .table_read(table_read),
        .table_address(table_address), .table_words(table_words), .result_valid(result_valid),
        .result_address(result_address), .results(results)
    );

    // The table holds a function of its address.
    integer looked_up;
    always @(posedge clock)
        if (table_read) begin
            for (looked_up = 0; looked_up < DRAIN; looked_up = looked_up + 1)
                fetched[looked_up*WIDTH +: WIDTH] <= table_address[looked_up*ADDRESS +: ADDRESS] * 37 + 11;
            table_words <= fetched;
        end

    reg [WIDTH+ADDRESS-1:0] due [0:DRAIN*RUNS*CLOCKS-1];
    reg [ADDRESS-1:0] address, index;
    reg signed [WIDTH-1:0] word;
    reg [WIDTH-1:0] value;
    integer wanted, checked, run, number, place, last, result, count, most;

    always @(negedge clock)
        for (result = 0; result < DRAIN; result = result + 1)
            if (result_valid[result] === 1'b1) begin
                if ({results[result*WIDTH +: WIDTH], result_address + result[ADDRESS-1:0]} !== due[checked])
                    $fatal(1, "FAIL: vector %0d is %h at %0d + %0d, expected %h", checked,
                           results[result*WIDTH +: WIDTH], result_address, result, due[checked]);
                checked = checked + 1;
            end

    initial begin
        {configure, wanted, checked} = 0;
        in_valid = 0;
        for (run = 0; run < RUNS; run = run + 1) begin
            repeat (6) @(negedge clock);
            {table_enable, noise_enable} = $random;
            out_bits = 1 + ($unsigned($random) % WIDTH);
            table_base = ($unsigned($random) << out_bits);
            output_base = $random;
            gap = $random;
            // All words of a clock, or a power of two of them, as the lanes of a group may be fewer.
            most = DRAIN;
            while (most > 1 && ($random & 1)) most = most / 2;
            clock_step = most - 1;
            last = $unsigned($random) % most;
            pixel_step = gap + last;
            address = output_base;
            configure = 1'b1;
            @(negedge clock);
            configure = 1'b0;
            for (number = 0; number < CLOCKS; number = number + 1) begin
                pixel_end = $random;
                count = ($random & 3) == 0 ? 0 : pixel_end ? last + 1 : most;
                for (place = 0; place < DRAIN; place = place + 1) begin
                    in_valid[place] = place < count;
                    word = $random;
                    words[place*WIDTH +: WIDTH] = word;
                    noise[place*32 +: 32] = $random;
                    index = noise_enable ? noise[place*32 +: ADDRESS] : {{(ADDRESS-WIDTH){word[WIDTH-1]}}, word};
                    index = table_base | (index & ((1 << out_bits) - 1));
                    value = table_enable ? index * 37 + 11 : word;
                    if (place < count) begin
                        due[wanted] = {value, address};
                        address = address + 1 + (pixel_end && place == last ? gap : 0);
                        wanted = wanted + 1;
                    end
                end
                @(negedge clock);
            end
            in_valid = 0;
        end
        repeat (6) @(negedge clock);
        if (checked != wanted) $fatal(1, "FAIL: %0d of %0d words", checked, wanted);
        $display("PASS: %0d vectors", checked);
        $finish;
    end
endmodule
`default_nettype wire
