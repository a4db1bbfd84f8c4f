#include <fmt/format.h>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/wire/check.hpp"
#include "protocol/wire/codec.hpp"
#include "schemas/notp.pb.h"

namespace notp::wire {
namespace {

namespace pb = ::notp::wire::v1;

// Serialising bad UTF-8 would succeed and the peer would refuse the frame: replace it here.
std::string clean_text(std::string_view text, size_t bytes_max) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_sequence_bytes(text);
    const std::string_view next = length == 0 ? kReplacement : text.substr(0, length);
    if (out.size() + next.size() > bytes_max) break;
    out.append(next);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string clean_text(std::string_view text) {
  return clean_text(text, limits::kErrorTextBytesMax);
}
std::string clean_name(std::string_view text) { return clean_text(text, limits::kNameBytesMax); }
std::string clean_identity(std::string_view text) {
  return clean_text(text, limits::kIdentityBytesMax);
}

std::string optional_hash(const Hash& hash) {
  return hash.is_zero() ? std::string() : std::string(hash.view());
}

// --- structs to generated messages

void put(pb::LedgerName& out, const LedgerId& in) {
  out.set_zone(in.zone);
  out.set_name(in.name);
}

void put(pb::Base& out, const Base& in) {
  out.set_version(in.version);
  out.set_content_root(std::string(in.content_root.view()));
}

void put(pb::Want& out, const Want& in) {
  put(*out.mutable_ledger(), in.ledger);
  if (in.base) put(*out.mutable_base(), *in.base);
  for (const Base& base : in.older) put(*out.add_older(), base);
  if (in.resume) {
    out.mutable_resume()->set_artifact(std::string(in.resume->artifact.view()));
    out.mutable_resume()->set_offset(in.resume->offset);
  }
  out.set_version(in.version);
  out.set_heads_only(in.heads_only);
  out.set_pending(optional_hash(in.pending_hash));
  for (const Hash& content : in.lacks) out.add_lacks(std::string(content.view()));
}

void put(pb::Hello& out, const Hello& in) {
  for (uint32_t version : in.versions) out.add_versions(version);
  out.set_agent(clean_name(in.agent));
  out.set_root_version(in.root_version);
  out.set_freshness_sequence(in.freshness_sequence);
  for (const Want& want : in.wants) put(*out.add_wants(), want);
}

void put(pb::Head& out, const ReleaseRef& in) {
  put(*out.mutable_ledger(), in.ledger);
  out.set_version(in.version);
  out.set_release_hash(optional_hash(in.release_hash));
  out.set_content_root(optional_hash(in.content_root));
  out.set_epoch(in.epoch);
}

void put(pb::Refusal& out, const Refusal& in) {
  put(*out.mutable_ledger(), in.ledger);
  out.set_code(static_cast<uint32_t>(in.code));
  out.set_message(clean_text(in.message));
}

void put(pb::Welcome& out, const Welcome& in) {
  out.set_version(in.version);
  out.set_server(clean_name(in.server));
  out.set_trust_domain(in.trust_domain);
  out.set_root_version(in.root_version);
  for (const ReleaseRef& head : in.heads) put(*out.add_heads(), head);
  for (const Refusal& refusal : in.refusals) put(*out.add_refusals(), refusal);
}

void put(pb::Offer& out, const Offer& in) {
  out.set_stream(in.stream);
  if (!in.is_short()) put(*out.mutable_ledger(), in.ledger);
  out.set_version(in.version);
  if (in.base) put(*out.mutable_base(), *in.base);
  out.set_artifact(optional_hash(in.artifact));
  out.set_size(in.size);
  out.set_offset(in.offset);
  out.set_content_root(optional_hash(in.content_root));
  out.set_subscription(in.subscription);
  out.set_behind(in.behind);
  if (in.partial) {
    out.mutable_partial()->set_content_root(std::string(in.partial->content_root.view()));
    out.mutable_partial()->set_without(in.partial->without);
  }
  out.set_effort(in.effort);
}

void put(pb::Commit& out, const Commit& in) {
  if (!in.is_short()) put(*out.mutable_ledger(), in.ledger);
  out.set_version(in.version);
  out.set_state(static_cast<pb::Commit::State>(in.state));
  out.set_code(in.code);
  out.set_message(clean_text(in.message));
  out.set_content_root(optional_hash(in.content_root));
  if (in.freshness) out.set_freshness(static_cast<pb::FreshnessState>(*in.freshness));
  out.set_subscription(in.subscription);
}

void put(pb::RootUpdate& out, const RootUpdate& in) { out.set_envelope(in.envelope); }

void put(pb::FreshnessUpdate& out, const FreshnessUpdate& in) {
  out.set_sequence(in.sequence);
  out.set_base_sequence(in.base_sequence);
  out.set_issued_ms(in.issued_ms);
  out.set_lifetime_ms(in.lifetime_ms);
  out.set_root_version(in.root_version);
  for (const FreshnessHead& head : in.heads) {
    pb::FreshnessHead& row = *out.add_heads();
    put(*row.mutable_ledger(), head.ledger);
    row.set_epoch(head.epoch);
    row.set_version(head.version);
    row.set_release_hash(optional_hash(head.release_hash));
    for (const Hash& withdrawn : head.withdrawn) row.add_withdrawn(std::string(withdrawn.view()));
  }
  for (const LedgerId& ledger : in.gone) put(*out.add_gone(), ledger);
  out.set_signature(in.signature);
}

void put(pb::WantMore& out, const WantMore& in) {
  for (const Want& want : in.wants) put(*out.add_wants(), want);
}

void put(pb::InventoryRequest& out, const InventoryRequest& in) {
  out.set_subscription(in.subscription);
  out.set_listed(in.listed);
}

void put(pb::Inventory& out, const Inventory& in) {
  out.set_subscription(in.subscription);
  out.set_files(in.files);
  out.set_list(in.list);
  out.set_sketch(in.sketch);
}

void put(pb::Ping& out, const Ping& in) { out.set_nonce(in.nonce); }
void put(pb::Pong& out, const Pong& in) { out.set_nonce(in.nonce); }

void put(pb::ErrorMessage& out, const ErrorMessage& in) {
  out.set_code(static_cast<uint32_t>(in.code));
  out.set_message(clean_text(in.message));
  out.set_retry_after_ms(in.retry_after_ms);
}

void put(pb::Bye& out, const Bye& in) {
  out.set_reason(clean_text(in.reason));
  out.set_retry_after_ms(in.retry_after_ms);
}

void put(pb::Publish& out, const Publish& in) {
  out.set_request(in.request);
  put(*out.mutable_ledger(), in.ledger);
  if (in.base) put(*out.mutable_base(), *in.base);
  out.set_version(in.version);
  out.set_expected_head(optional_hash(in.expected_head_hash));
  out.set_size(in.size);
  out.set_message(clean_text(in.message));
  out.set_stream(in.stream);
  out.set_pending(in.pending);
  out.set_break_dependants(in.break_dependants);
}

void put(pb::Finding& out, const Finding& in) {
  out.set_path(clean_text(in.path));
  out.set_line(in.line);
  out.set_rule(clean_name(in.rule));
  out.set_message(clean_text(in.message));
}

void put(pb::PublishResult& out, const PublishResult& in) {
  out.set_request(in.request);
  out.set_version(in.version);
  out.set_release_hash(optional_hash(in.release_hash));
  out.set_commit(clean_name(in.commit));
  out.set_code(in.code);
  out.set_message(clean_text(in.message));
  if (in.head) put(*out.mutable_head(), *in.head);
  out.set_head_publisher(clean_identity(in.head_publisher));
  out.set_head_issued_ms(in.head_issued_ms);
  for (const Finding& finding : in.findings) put(*out.add_findings(), finding);
  for (const Finding& warning : in.warnings) put(*out.add_warnings(), warning);
  out.set_signers(in.signers);
  out.set_threshold(in.threshold);
}

void put_what(pb::Query& out, const HistoryQuery& in) {
  put(*out.mutable_history()->mutable_ledger(), in.ledger);
  out.mutable_history()->set_below_version(in.below_version);
  out.mutable_history()->set_rows_max(in.rows_max);
}
void put_what(pb::Query& out, const NodesQuery& in) {
  out.mutable_nodes()->set_after(clean_identity(in.after));
  out.mutable_nodes()->set_rows_max(in.rows_max);
}
void put_what(pb::Query& out, const LedgersQuery& in) {
  pb::LedgersQuery& query = *out.mutable_ledgers();
  if (in.after) put(*query.mutable_after(), *in.after);
}
void put_what(pb::Query& out, const RootsQuery& in) {
  out.mutable_roots()->set_after_version(in.after_version);
}
void put_what(pb::Query& out, const PublishRoot& in) {
  out.mutable_publish_root()->set_envelope(in.envelope);
}
void put_what(pb::Query& out, const Withdraw& in) {
  put(*out.mutable_withdraw()->mutable_ledger(), in.ledger);
  out.mutable_withdraw()->set_version(in.version);
  out.mutable_withdraw()->set_reason(clean_text(in.reason));
}
void put_what(pb::Query& out, const PendingQuery& in) {
  pb::PendingQuery& query = *out.mutable_pending();
  if (in.ledger) put(*query.mutable_ledger(), *in.ledger);
  if (!in.after) return;
  put(*query.mutable_after_ledger(), in.after->ledger);
  query.set_after_release(std::string(in.after->release_hash.view()));
}
void put_what(pb::Query& out, const Cosign& in) {
  put(*out.mutable_cosign()->mutable_ledger(), in.ledger);
  out.mutable_cosign()->set_release_hash(std::string(in.release_hash.view()));
  out.mutable_cosign()->set_signature(in.signature);
}
void put_what(pb::Query& out, const DropPending& in) {
  put(*out.mutable_drop_pending()->mutable_ledger(), in.ledger);
  out.mutable_drop_pending()->set_release_hash(std::string(in.release_hash.view()));
}
void put_what(pb::Query& out, const TrustQuery&) { out.mutable_trust(); }
void put_what(pb::Query& out, const NewJoinToken& in) {
  out.mutable_new_join_token()->set_node(in.node);
  out.mutable_new_join_token()->set_lifetime_ms(in.lifetime_ms);
  out.mutable_new_join_token()->set_replace(in.replace);
}
void put_what(pb::Query& out, const RenewCertificate& in) {
  out.mutable_renew_certificate()->set_request(in.request);
}

void put(pb::Query& out, const Query& in) {
  out.set_request(in.request);
  std::visit([&](const auto& what) { put_what(out, what); }, in.what);
}

void put(pb::HistoryRow& out, const HistoryRow& in) {
  out.set_version(in.version);
  out.set_release_hash(std::string(in.release_hash.view()));
  out.set_content_root(std::string(in.content_root.view()));
  out.set_publisher(clean_identity(in.publisher));
  out.set_message(clean_text(in.message));
  out.set_issued_ms(in.issued_ms);
  out.set_total_bytes(in.total_bytes);
  out.set_file_count(in.file_count);
  out.set_commit(clean_name(in.commit));
  out.set_envelope(in.envelope);
  out.set_withdrawn(clean_text(in.withdrawn));
}

void put(pb::PendingRow& out, const PendingRow& in) {
  put(*out.mutable_ledger(), in.ledger);
  out.set_version(in.version);
  out.set_release_hash(std::string(in.release_hash.view()));
  out.set_publisher(clean_identity(in.publisher));
  out.set_message(clean_text(in.message));
  out.set_received_ms(in.received_ms);
  out.set_signers(in.signers);
  out.set_threshold(in.threshold);
  out.set_envelope(in.envelope);
}

void put(pb::TrustRow& out, const TrustRow& in) {
  out.set_root_version(in.root_version);
  if (in.deny_list) put(*out.mutable_deny_list(), *in.deny_list);
  out.set_freshness_interval_ms(in.freshness_interval_ms);
  out.set_enroll_address(clean_identity(in.enroll_address));
}

void put(pb::Certificate& out, const Certificate& in) {
  out.set_certificate(in.certificate);
  out.set_authorities(in.authorities);
}

void put(pb::NodeRow& out, const NodeRow& in) {
  out.set_identity(clean_identity(in.identity));
  out.set_agent(clean_name(in.agent));
  out.set_connected(in.connected);
  out.set_seen_ms(in.seen_ms);
  for (const NodeLedger& held : in.ledgers) {
    pb::NodeLedger& row = *out.add_ledgers();
    put(*row.mutable_ledger(), held.ledger);
    row.set_version(held.version);
    row.set_state(static_cast<pb::Commit::State>(held.state));
    row.set_active_version(held.active_version);
    row.set_code(held.code);
    row.set_message(clean_text(held.message));
    row.set_since_ms(held.since_ms);
    row.set_head_version(held.head_version);
    row.set_freshness(static_cast<pb::FreshnessState>(held.freshness));
    row.set_vouched_ms(held.vouched_ms);
  }
}

// A field number below 16 takes one byte, the length of a row at most four.
constexpr size_t kRowOverheadBytes = 5;

// Adds rows while they fit into `room`; false when one was left out.
template <typename Rows, typename Add>
bool put_rows(const Rows& rows, size_t& room, Add add) {
  for (const auto& row : rows) {
    auto& out = *add();
    put(out, row);
    const size_t bytes = out.ByteSizeLong() + kRowOverheadBytes;
    if (bytes > room) return false;
    room -= bytes;
  }
  return true;
}

// Adds envelopes while they fit into `room`; false when one was left out.
bool put_envelopes(const std::vector<Bytes>& envelopes, size_t& room, auto& out) {
  for (const Bytes& envelope : envelopes) {
    const size_t bytes = envelope.size() + kRowOverheadBytes;
    if (bytes > room) return false;
    room -= bytes;
    *out.Add() = envelope;
  }
  return true;
}

// What an answer holds at most once. check() allows one of the large parts: it fits into a frame.
void put_single(pb::Answer& out, const Answer& in) {
  out.set_request(in.request);
  out.set_code(in.code);
  out.set_message(clean_text(in.message));
  out.set_more(true);  // for its size
  if (in.published) put(*out.mutable_published(), *in.published);
  if (in.trust) put(*out.mutable_trust(), *in.trust);
  out.set_join_token(in.join_token);
  if (in.certificate) put(*out.mutable_certificate(), *in.certificate);
}

void put(pb::Answer& out, const Answer& in) {
  put_single(out, in);
  size_t room = limits::kFrameBytesMax - out.ByteSizeLong();
  auto& history = *out.mutable_history();
  auto& nodes = *out.mutable_nodes();
  auto& ledgers = *out.mutable_ledgers();
  bool more = in.more;
  if (!put_rows(in.history, room, [&] { return history.Add(); })) {
    history.RemoveLast();
    more = true;
  }
  if (!put_rows(in.nodes, room, [&] { return nodes.Add(); })) {
    nodes.RemoveLast();
    more = true;
  }
  if (!put_rows(in.ledgers, room, [&] { return ledgers.Add(); })) {
    ledgers.RemoveLast();
    more = true;
  }
  auto& damaged = *out.mutable_damaged();
  if (!put_rows(in.damaged, room, [&] { return damaged.Add(); })) {
    damaged.RemoveLast();
    more = true;
  }
  auto& pending = *out.mutable_pending();
  if (!put_rows(in.pending, room, [&] { return pending.Add(); })) {
    pending.RemoveLast();
    more = true;
  }
  if (!put_envelopes(in.root_chain, room, *out.mutable_roots())) more = true;
  out.set_more(more);
}

void put(pb::Join& out, const Join& in) {
  out.set_token(in.token);
  out.set_request(in.request);
}

// The roots that do not fit come in the first session, by RootUpdate.
void put(pb::Joined& out, const Joined& in) {
  put(*out.mutable_certificate(), in.certificate);
  size_t room = limits::kFrameBytesMax - out.ByteSizeLong();
  put_envelopes(in.root_chain, room, *out.mutable_roots());
}

template <typename Generated>
Bytes serialize(const auto& message) {
  Generated generated;
  put(generated, message);
  Bytes out;
  NOTP_ASSERT(generated.SerializeToString(&out), "a message of known size serialises");
  return out;
}

struct Encoder {
  Bytes operator()(const Hello& m) const { return serialize<pb::Hello>(m); }
  Bytes operator()(const Welcome& m) const { return serialize<pb::Welcome>(m); }
  Bytes operator()(const Offer& m) const { return serialize<pb::Offer>(m); }
  Bytes operator()(const Chunk&) const {
    NOTP_ASSERT(false, "a Chunk is not Protobuf");
    return {};
  }
  Bytes operator()(const Commit& m) const { return serialize<pb::Commit>(m); }
  Bytes operator()(const WantMore& m) const { return serialize<pb::WantMore>(m); }
  Bytes operator()(const InventoryRequest& m) const { return serialize<pb::InventoryRequest>(m); }
  Bytes operator()(const Inventory& m) const { return serialize<pb::Inventory>(m); }
  Bytes operator()(const Ping& m) const { return serialize<pb::Ping>(m); }
  Bytes operator()(const Pong& m) const { return serialize<pb::Pong>(m); }
  Bytes operator()(const ErrorMessage& m) const { return serialize<pb::ErrorMessage>(m); }
  Bytes operator()(const Bye& m) const { return serialize<pb::Bye>(m); }
  Bytes operator()(const Publish& m) const { return serialize<pb::Publish>(m); }
  Bytes operator()(const PublishResult& m) const { return serialize<pb::PublishResult>(m); }
  Bytes operator()(const Query& m) const { return serialize<pb::Query>(m); }
  Bytes operator()(const Answer& m) const { return serialize<pb::Answer>(m); }
  Bytes operator()(const RootUpdate& m) const { return serialize<pb::RootUpdate>(m); }
  Bytes operator()(const FreshnessUpdate& m) const { return serialize<pb::FreshnessUpdate>(m); }
  Bytes operator()(const Join& m) const { return serialize<pb::Join>(m); }
  Bytes operator()(const Joined& m) const { return serialize<pb::Joined>(m); }
};

}  // namespace

Bytes encode_payload(const Message& message) { return std::visit(Encoder{}, message); }

}  // namespace notp::wire
