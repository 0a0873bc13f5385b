// SPDX-License-Identifier: MIT
// The rules of AXI4-Lite and AXI4-Stream that axi_engine must keep, whatever the masters, the sinks and the engine do
// (`free_engine.v`), for all time: no output of this module is ever high.
//
// It begins with two clocks of reset, and may be reset again at any time. Nothing is assumed of the masters, not even
// that they hold their requests.
`default_nettype none
module axi_proof (
    input  wire        clock,
    input  wire        reset,
    input  wire [7:0]  awaddr,
    input  wire [2:0]  awprot,
    input  wire        awvalid,
    input  wire [31:0] wdata,
    input  wire [3:0]  wstrb,
    input  wire        wvalid,
    input  wire        bready,
    input  wire [7:0]  araddr,
    input  wire [2:0]  arprot,
    input  wire        arvalid,
    input  wire        rready,
    input  wire [7:0]  in_data,
    input  wire        in_keep,
    input  wire        in_last,
    input  wire        in_valid,
    input  wire        out_ready,

    // A request or response is withdrawn, or changes, before it is accepted.
    output wire        write_response_changes,
    output wire        read_response_changes,
    output wire        stream_changes,
    // A response for which there was no request.
    output wire        response_to_no_write,
    output wire        response_to_no_read,
    // An accepted request without a response after 8 clocks, although responses are accepted at once.
    output wire        write_unanswered,
    output wire        read_unanswered,
    // A valid signal during a reset, after its first clock.
    output wire        offered_in_reset,
    // A beat of the input is accepted without a command.
    output wire        beat_from_nothing
);
    reg [1:0] age;
    initial age = 2'd0;
    always @(posedge clock) age <= {age[0], 1'b1};
    wire resetting = !age[1] || reset;

    wire awready, wready, bvalid, arready, rvalid, in_ready, out_valid, out_last, out_keep, irq;
    wire [1:0] bresp, rresp;
    wire [31:0] rdata;
    wire [7:0] out_data;
    axi_engine #(
        .LANES(2), .ACTIVATION_WIDTH(2), .WEIGHT_WIDTH(2), .ACCUMULATOR_WIDTH(4), .BIAS_WIDTH(2),
        .ACTIVATION_DEPTH(8), .WEIGHT_DEPTH(4), .PARAMETER_DEPTH(4), .TABLE_DEPTH(4), .PROGRAM_DEPTH(4)
    ) u_axi_engine (
        .clock(clock), .reset_n(!resetting),
        .s_axil_awaddr(awaddr), .s_axil_awprot(awprot), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
        .s_axil_wdata(wdata), .s_axil_wstrb(wstrb), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
        .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(bready),
        .s_axil_araddr(araddr), .s_axil_arprot(arprot), .s_axil_arvalid(arvalid), .s_axil_arready(arready),
        .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid), .s_axil_rready(rready),
        .s_axis_tdata(in_data), .s_axis_tkeep(in_keep), .s_axis_tlast(in_last),
        .s_axis_tvalid(in_valid), .s_axis_tready(in_ready),
        .m_axis_tdata(out_data), .m_axis_tkeep(out_keep), .m_axis_tlast(out_last),
        .m_axis_tvalid(out_valid), .m_axis_tready(out_ready), .irq(irq)
    );

    // What was valid and not accepted in the last clock.
    reg b_waits, r_waits, out_waits, reset_before;
    reg [1:0] b_was;
    reg [33:0] r_was;
    reg [9:0] out_was;
    initial {b_waits, r_waits, out_waits, reset_before} = 4'd0;
    always @(posedge clock) begin
        b_waits <= !resetting && bvalid && !bready;
        r_waits <= !resetting && rvalid && !rready;
        out_waits <= !resetting && out_valid && !out_ready;
        b_was <= bresp;
        r_was <= {rdata, rresp};
        out_was <= {out_data, out_keep, out_last};
        reset_before <= resetting;
    end
    assign write_response_changes = b_waits && (!bvalid || bresp != b_was);
    assign read_response_changes = r_waits && (!rvalid || {rdata, rresp} != r_was);
    assign stream_changes = out_waits && (!out_valid || {out_data, out_keep, out_last} != out_was);
    assign offered_in_reset = reset_before && resetting
        && (awready || wready || arready || bvalid || rvalid || in_ready || out_valid || irq);

    // Accepted requests without a response, counted beyond what a correct module allows.
    reg [2:0] addresses, contents, reads;
    reg [3:0] write_clocks, read_clocks;
    initial {addresses, contents, reads, write_clocks, read_clocks} = 17'd0;
    wire b_taken = bvalid && bready;
    wire r_taken = rvalid && rready;
    wire write_waits = addresses != 3'd0 && contents != 3'd0 && !b_taken;
    wire read_waits = reads != 3'd0 && !r_taken;
    always @(posedge clock) begin
        if (resetting) {addresses, contents, reads, write_clocks, read_clocks} <= 17'd0;
        else begin
            addresses <= addresses + (awvalid && awready) - b_taken;
            contents <= contents + (wvalid && wready) - b_taken;
            reads <= reads + (arvalid && arready) - r_taken;
            // A read of the activation memory may delay a write, and a response that is not accepted the ones after it.
            write_clocks <= write_waits && bready && rready ? write_clocks + 4'd1 : 4'd0;
            read_clocks <= read_waits && rready && bready ? read_clocks + 4'd1 : 4'd0;
        end
    end
    wire settled = age[1] && !reset_before;
    assign response_to_no_write = settled && bvalid && (addresses == 3'd0 || contents == 3'd0);
    assign response_to_no_read = settled && rvalid && reads == 3'd0;
    assign write_unanswered = write_clocks == 4'd8 || addresses > 3'd2 || contents > 3'd2;
    assign read_unanswered = read_clocks == 4'd8 || reads > 3'd2;

    // Between a reset and the first write to CONTROL no word is accepted.
    reg commanded;
    initial commanded = 1'b0;
    always @(posedge clock) commanded <= !resetting && (commanded || addresses != 3'd0 && contents != 3'd0);
    assign beat_from_nothing = age[1] && !reset_before && in_valid && in_ready && !commanded;
endmodule
`default_nettype wire
