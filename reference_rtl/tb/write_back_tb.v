// SPDX-License-Identifier: MIT
// write_back.v with a table of its own: results and addresses of random runs, in order.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module write_back_tb;
    localparam WIDTH = 8, ADDRESS = 10, RUNS = 60;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg configure, table_enable, noise_enable, in_valid, pixel_end;
    reg [ADDRESS-1:0] output_base, output_gap, table_base;
    reg [5:0] out_bits;
    reg [31:0] noise;
    reg signed [WIDTH-1:0] word;
    wire table_read, result_valid;
    wire [ADDRESS-1:0] table_address, result_address;
    wire signed [WIDTH-1:0] result;
    reg signed [WIDTH-1:0] fetched, table_word;

    write_back #(.WIDTH(WIDTH), .ADDRESS_WIDTH(ADDRESS)) u_write_back (
        .clock(clock), .reset(1'b0), .configure(configure), .output_base(output_base), .output_gap(output_gap),
        .table_enable(table_enable), .table_base(table_base), .out_bits(out_bits), .noise_enable(noise_enable),
        .noise(noise),
        .in_valid(in_valid), .pixel_end(pixel_end), .word(word), .table_read(table_read), .table_address(table_address),
        .table_word(table_word), .result_valid(result_valid), .result_address(result_address), .result(result)
    );

    // The table holds a function of its address.
    always @(posedge clock)
        if (table_read) begin
            fetched <= table_address * 37 + 11;
            table_word <= fetched;
        end

    reg [WIDTH+ADDRESS-1:0] due [0:65535];
    reg [ADDRESS-1:0] address, index;
    reg signed [WIDTH-1:0] value;
    integer wanted, checked, run, number;

    always @(negedge clock)
        if (result_valid === 1'b1) begin
            if ({result, result_address} !== due[checked])
                $fatal(1, "FAIL: vector %0d is %h at %0d, expected %h", checked, result, result_address, due[checked]);
            checked = checked + 1;
        end

    initial begin
        {configure, in_valid, wanted, checked} = 0;
        for (run = 0; run < RUNS; run = run + 1) begin
            repeat (6) @(negedge clock);
            {table_enable, noise_enable} = $random;
            out_bits = 1 + ($unsigned($random) % WIDTH);
            table_base = ($unsigned($random) << out_bits);
            output_base = $random;
            output_gap = $random;
            address = output_base;
            configure = 1'b1;
            @(negedge clock);
            configure = 1'b0;
            for (number = 0; number < 100; number = number + 1) begin
                in_valid = ($random & 3) != 0;
                {word, pixel_end} = $random;
                noise = $random;
                if (in_valid) begin
                    index = noise_enable ? noise[ADDRESS-1:0] : {{(ADDRESS-WIDTH){word[WIDTH-1]}}, word};
                    index = table_base | (index & ((1 << out_bits) - 1));
                    value = table_enable ? index * 37 + 11 : word;
                    due[wanted] = {value, address};
                    address = address + 1 + (pixel_end ? output_gap : 0);
                    wanted = wanted + 1;
                end
                @(negedge clock);
            end
            in_valid = 1'b0;
        end
        repeat (6) @(negedge clock);
        if (checked != wanted) $fatal(1, "FAIL: %0d of %0d words", checked, wanted);
        $display("PASS: %0d vectors", checked);
        $finish;
    end
endmodule
`default_nettype wire
