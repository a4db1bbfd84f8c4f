// Spans of a node for releases that come with a trace.
#include <doctest/doctest.h>

#include <algorithm>

#include "notp-client/agent/host/agent_traces.hpp"

namespace notp {
namespace {

using agent::AgentTraces;
using agent::DesiredState;
namespace effect = agent::effect;

const model::LedgerId kLedger{273165098782, "payments"};
const model::LedgerId kOther{273165098782, "refunds"};

struct Kept : SpanSink {
  void add(SpanRecord span) override { spans.push_back(std::move(span)); }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const SpanRecord& span : spans)
      out.push_back(span.name + (span.error.empty() ? "" : " " + span.error));
    return out;
  }
  std::vector<SpanRecord> spans;
};

effect::TracedOffer offer(uint64_t version, const model::LedgerId& ledger = kLedger) {
  effect::TracedOffer out{ledger, version, 500, {}};
  out.trace.trace.fill(static_cast<uint8_t>(version));
  out.trace.span.fill(0x22);
  out.trace.is_sampled = true;
  return out;
}

DesiredState desired(uint64_t version, const model::LedgerId& ledger = kLedger) {
  DesiredState out;
  out[ledger].version = version;
  return out;
}

effect::Changed changed(uint64_t version, wire::CommitState state) {
  return {kLedger, version, state, "data.payments.secret"};
}

struct Node {
  Node() {
    traces.set_node("spiffe://core-platform.internal/node/edge-1");
    traces.set_pdp("embedded");
  }
  void install(uint64_t version, bool works = true, const model::LedgerId& ledger = kLedger) {
    traces.install_began(ledger, version);
    traces.install_ended(works ? Result<store::StoredRelease>(store::StoredRelease())
                               : fail(ErrorCode::kSignature, "spiffe://somebody"));
  }
  void activate(uint64_t version, std::optional<Error> rejected = {}) {
    traces.activation_began(desired(version));
    traces.activation_ended(desired(version), rejected);
  }

  Kept kept;
  SeededRandom random{3};
  Tracer tracer{kept, {}, random};
  AgentTraces traces{tracer};
};

using Names = std::vector<std::string>;

bool has(const std::vector<SpanAttribute>& attributes, const SpanAttribute& wanted) {
  return std::ranges::find(attributes, wanted) != attributes.end();
}

TEST_CASE("a traced release is received, stored and activated, below the registry's push") {
  Node node;
  node.traces.offered(offer(4));
  node.install(4);
  node.activate(4);
  node.traces.changed(changed(4, wire::CommitState::kStored));
  node.traces.changed(changed(4, wire::CommitState::kActive));
  CHECK(node.kept.names() == Names{"receive", "store", "activate"});
  int64_t before_ns = 0;
  for (const SpanRecord& span : node.kept.spans) {
    CHECK(span.trace == offer(4).trace.trace);
    CHECK(span.parent == offer(4).trace.span);
    CHECK(span.start_ns >= before_ns);
    before_ns = span.end_ns;
    CHECK(has(span.attributes, SpanAttribute{"notp.ledger", std::string(kLedger.text())}));
    CHECK(has(span.attributes, SpanAttribute{"notp.version", int64_t{4}}));
    // What the PDP says, and what a policy is about, stays here.
    for (const SpanAttribute& attribute : span.attributes)
      if (const auto* text = std::get_if<std::string>(&attribute.value))
        CHECK_FALSE(text->contains("secret"));
  }
  CHECK(node.kept.spans[0].kind == SpanKind::kConsumer);
  CHECK(has(node.kept.spans[0].attributes, SpanAttribute{"notp.bytes", int64_t{500}}));
  CHECK(has(node.kept.spans[2].attributes, SpanAttribute{"notp.pdp", std::string("embedded")}));
  // The trace has ended: a later activation of the same release is no part of it.
  node.activate(4);
  CHECK(node.kept.spans.size() == 3);
}

TEST_CASE("a release that fails somewhere ends there, with the code") {
  Node forged;
  forged.traces.offered(offer(4));
  forged.install(4, /*works=*/false);
  forged.activate(4);
  forged.traces.changed(changed(4, wire::CommitState::kRejected));
  CHECK(forged.kept.names() == Names{"receive", "store signature"});

  Node refused;
  refused.traces.offered(offer(4));
  refused.install(4);
  refused.activate(4, Error{ErrorCode::kPdpRejected, "rego_type_error", {}});
  // Alone, after a state of several ledgers was refused.
  refused.activate(4, Error{ErrorCode::kPdpRejected, "rego_type_error", {}});
  refused.traces.changed(changed(4, wire::CommitState::kRejected));
  CHECK(refused.kept.names() ==
        Names{"receive", "store", "activate pdp_rejected", "activate pdp_rejected"});

  Node cut;
  cut.traces.offered(offer(4));
  cut.traces.disconnected();
  cut.traces.disconnected();
  CHECK(cut.kept.names() == Names{"receive unavailable"});
}

TEST_CASE("a newer release takes the place of the one before") {
  Node node;
  node.traces.offered(offer(4));
  node.traces.install_began(kLedger, 4);
  node.traces.offered(offer(5));
  node.traces.install_ended(store::StoredRelease());
  // The newer one is not stored yet.
  node.activate(5);
  node.install(5);
  node.traces.activation_began(desired(5));
  node.traces.offered(offer(6));
  node.traces.activation_ended(desired(5), std::nullopt);
  CHECK(node.kept.names() == Names{"receive", "store", "receive", "store"});
}

TEST_CASE("releases of other ledgers, without a trace, or before a traced one are left alone") {
  Node node;
  node.install(3);
  node.activate(3);
  node.traces.offered(offer(4));
  node.install(4, true, kOther);
  node.traces.activation_began(desired(3));
  node.traces.activation_ended(desired(3), std::nullopt);
  node.traces.changed(changed(3, wire::CommitState::kActive));
  CHECK(node.kept.spans.empty());
}

TEST_CASE("a node that exports no traces keeps none") {
  const Tracer off;
  AgentTraces traces(off);
  traces.offered(offer(4));
  traces.install_began(kLedger, 4);
  traces.install_ended(store::StoredRelease());
  traces.activation_began(desired(4));
  traces.activation_ended(desired(4), std::nullopt);
  traces.changed(changed(4, wire::CommitState::kActive));
  traces.disconnected();
}

}  // namespace
}  // namespace notp
