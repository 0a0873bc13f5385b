// SPDX-License-Identifier: MIT
// drain.v: the totals of random tiles come out in order, each with its row of parameters, wrapped if modelled.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module drain_tb;
    parameter LANES = 4;
    parameter DRAIN = 1;
    localparam WIDTH = 12, WRAP = 8, ADDRESS = 8, TILES = 600;
    localparam CHANNEL_WIDTH = LANES > 1 ? $clog2(LANES) : 1;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg configure, per_tile, modelled, complete, pixel_end;
    reg [CHANNEL_WIDTH-1:0] channels;
    reg [ADDRESS-1:0] parameter_base;
    reg [LANES*WIDTH-1:0] totals, next_totals;
    wire [ADDRESS-1:0] parameter_address;
    wire parameter_enable, out_pixel_end, wrapped;
    wire [DRAIN-1:0] out_valid;
    wire [DRAIN*WIDTH-1:0] sums;

    drain #(.LANES(LANES), .DRAIN(DRAIN), .WIDTH(WIDTH), .WRAP_WIDTH(WRAP), .ADDRESS_WIDTH(ADDRESS)) u_drain (
        .clock(clock), .reset(1'b0), .configure(configure), .parameter_base(parameter_base), .per_tile(per_tile),
        .modelled(modelled),
        .complete(complete), .channels(channels), .pixel_end(pixel_end), .totals(totals),
        .parameter_enable(parameter_enable), .parameter_address(parameter_address),
        .out_valid(out_valid), .out_pixel_end(out_pixel_end), .sums(sums), .wrapped(wrapped)
    );

    // The expected results, in order: of each sum {sum, wrapped, the tile ends, pixel_end, row of parameters}.
    reg [WIDTH+ADDRESS+2:0] due [0:LANES*TILES-1];
    reg [WIDTH+ADDRESS+2:0] now;
    reg [ADDRESS-1:0] address, address_1, address_2;
    reg signed [WIDTH-1:0] value, kept;
    reg lost, ends;
    integer wanted, checked, tile, lane, word, last;

    // The address that belongs to sums stood two clocks earlier.
    always @(posedge clock) begin
        address_1 <= parameter_address;
        address_2 <= address_1;
    end
    always @(negedge clock)
        if (out_valid[0] !== 1'b0 && wanted != 0) begin
            lost = 1'b0;
            ends = 1'b0;
            for (word = 0; word < DRAIN; word = word + 1)
                if (!ends) begin
                    now = due[checked];
                    if (out_valid[word] !== 1'b1 || sums[word*WIDTH +: WIDTH] !== now[ADDRESS+3 +: WIDTH]
                        || address_2 !== now[ADDRESS-1:0])
                        $fatal(1, "FAIL: vector %0d is %b %h by %0d, expected %h", checked, out_valid,
                               sums[word*WIDTH +: WIDTH], address_2, now);
                    lost = lost || now[ADDRESS+2];
                    ends = now[ADDRESS+1];
                    checked = checked + 1;
                end else if (out_valid[word] !== 1'b0)
                    $fatal(1, "FAIL: vector %0d is followed by more than its tile has", checked - 1);
            if (wrapped !== lost || out_pixel_end !== now[ADDRESS])
                $fatal(1, "FAIL: vector %0d ends with %b %b, expected %b %b", checked - 1, wrapped, out_pixel_end, lost,
                       now[ADDRESS]);
        end

    initial begin
        {configure, complete, wanted, checked} = 0;
        for (tile = 0; tile < TILES; tile = tile + 1) begin
            if (tile % 20 == 0) begin
                repeat (LANES + 4) @(negedge clock);
                {per_tile, modelled} = $random;
                parameter_base = $random;
                address = parameter_base;
                configure = 1'b1;
                @(negedge clock);
                configure = 1'b0;
            end
            pixel_end = ($random & 3) == 0;
            last = pixel_end ? $unsigned($random) % LANES : LANES - 1;
            channels = last;
            for (lane = 0; lane < LANES; lane = lane + 1) next_totals[lane*WIDTH +: WIDTH] = $random;
            for (lane = 0; lane <= last; lane = lane + 1) begin
                value = next_totals[lane*WIDTH +: WIDTH];
                kept = modelled ? {{(WIDTH-WRAP){value[WRAP-1]}}, value[WRAP-1:0]} : value;
                due[wanted] = {kept, kept != value, lane == last, pixel_end && lane / DRAIN == last / DRAIN, address};
                if (lane == last && (pixel_end || per_tile)) address = parameter_base;
                else if (lane == last || lane % DRAIN == DRAIN - 1) address = address + 1;
                wanted = wanted + 1;
            end
            complete = 1'b1;
            @(negedge clock);
            complete = 1'b0;
            totals = next_totals;
            // The next tile at the earliest when this one's last channels are being drained.
            repeat (last / DRAIN + (($random & 3) == 0 ? $random & 3 : 0)) @(negedge clock);
        end
        repeat (LANES + 4) @(negedge clock);
        if (checked != wanted) $fatal(1, "FAIL: %0d of %0d sums", checked, wanted);
        $display("PASS: %0d vectors", checked);
        $finish;
    end
endmodule
`default_nettype wire
