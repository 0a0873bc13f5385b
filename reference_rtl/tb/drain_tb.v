// SPDX-License-Identifier: MIT
// drain.v: the totals of random tiles come out in order, each with its parameter address, wrapped if modelled.
// SystemVerilog-2005 for `$fatal`, else Verilog-2005.
`default_nettype none
module drain_tb;
    parameter LANES = 4;
    localparam WIDTH = 12, WRAP = 8, ADDRESS = 8, TILES = 600;
    reg clock = 1'b0;
    always #5 clock = ~clock;
    reg configure, per_tile, modelled, complete, pixel_end;
    reg [5:0] channels;
    reg [ADDRESS-1:0] parameter_base;
    reg [LANES*WIDTH-1:0] totals, next_totals;
    wire [ADDRESS-1:0] parameter_address;
    wire parameter_enable, out_valid, out_pixel_end, wrapped;
    wire signed [WIDTH-1:0] sum;

    drain #(.LANES(LANES), .WIDTH(WIDTH), .WRAP_WIDTH(WRAP), .ADDRESS_WIDTH(ADDRESS)) u_drain (
        .clock(clock), .reset(1'b0), .configure(configure), .parameter_base(parameter_base), .per_tile(per_tile),
        .modelled(modelled),
        .complete(complete), .channels(channels), .pixel_end(pixel_end), .totals(totals),
        .parameter_enable(parameter_enable), .parameter_address(parameter_address),
        .out_valid(out_valid), .out_pixel_end(out_pixel_end), .sum(sum), .wrapped(wrapped)
    );

    // What is due: {sum, wrapped, pixel_end, parameter address}, in order.
    reg [WIDTH+ADDRESS+1:0] due [0:LANES*TILES-1];
    reg [ADDRESS-1:0] address, address_1, address_2;
    reg signed [WIDTH-1:0] value, kept;
    integer wanted, checked, tile, lane;

    // The address that belongs to a sum stood two clocks earlier.
    always @(posedge clock) begin
        address_1 <= parameter_address;
        address_2 <= address_1;
    end
    always @(negedge clock)
        if (out_valid === 1'b1) begin
            if ({sum, wrapped, out_pixel_end, address_2} !== due[checked])
                $fatal(1, "FAIL: vector %0d is %h %b %b %0d, expected %h", checked, sum, wrapped, out_pixel_end,
                       address_2, due[checked]);
            checked = checked + 1;
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
            channels = pixel_end ? $unsigned($random) % LANES : LANES - 1;
            for (lane = 0; lane < LANES; lane = lane + 1) next_totals[lane*WIDTH +: WIDTH] = $random;
            for (lane = 0; lane <= channels; lane = lane + 1) begin
                value = next_totals[lane*WIDTH +: WIDTH];
                kept = modelled ? {{(WIDTH-WRAP){value[WRAP-1]}}, value[WRAP-1:0]} : value;
                due[wanted] = {kept, kept != value, pixel_end && lane == channels, address};
                address = lane == channels && (pixel_end || per_tile) ? parameter_base : address + 1;
                wanted = wanted + 1;
            end
            complete = 1'b1;
            @(negedge clock);
            complete = 1'b0;
            totals = next_totals;
            // The next tile at the earliest when this one's last channel is being drained.
            repeat (channels + (($random & 3) == 0 ? $random & 3 : 0)) @(negedge clock);
        end
        repeat (LANES + 4) @(negedge clock);
        if (checked != wanted) $fatal(1, "FAIL: %0d of %0d sums", checked, wanted);
        $display("PASS: %0d vectors", checked);
        $finish;
    end
endmodule
`default_nettype wire
