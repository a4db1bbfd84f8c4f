#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

#include "common/limits.hpp"
#include "protocol/wire/check.hpp"
#include "protocol/wire/codec.hpp"
#include "protocol/wire/shape.hpp"
#include "schemas/notp.pb.h"

namespace notp::wire {
namespace {

namespace pb = ::notp::wire::v1;

// Protobuf prints bad UTF-8 to standard error, where a peer could fill the log.
void silence_protobuf() {
  static const auto previous = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(previous);
}

std::unexpected<Error> bad(std::string_view what) {
  return fail(ErrorCode::kMessage, std::string(what));
}

// Empty: zero. check() says where zero is not allowed.
Result<Hash> take_hash(const std::string& in) {
  if (in.empty()) return Hash{};
  if (in.size() != Hash::kSize)
    return bad(fmt::format("a hash is {} bytes long, not 32", in.size()));
  return Hash::from_bytes(in);
}

Result<CommitState> take_state(pb::Commit::State in) {
  switch (in) {
    case pb::Commit::STORED:
    case pb::Commit::ACTIVE:
    case pb::Commit::REJECTED:
      return static_cast<CommitState>(in);
    default:
      return bad(fmt::format("unknown state {}", static_cast<int>(in)));
  }
}

Result<FreshnessState> take_freshness(pb::FreshnessState in) {
  switch (in) {
    case pb::UNTRACKED:
    case pb::FRESH:
    case pb::STALE:
    case pb::EXPIRED:
      return static_cast<FreshnessState>(in);
    default:
      return bad(fmt::format("unknown freshness {}", static_cast<int>(in)));
  }
}

template <typename M>
Result<LedgerId> take_ledger(const M& in) {
  if (!in.has_ledger()) return bad("the ledger is missing");
  return LedgerId{in.ledger().zone(), in.ledger().name()};
}

// Absent: zone 0. A ledger that is there and says nothing must not read as absent.
template <typename M>
Result<LedgerId> take_ledger_if_named(const M& in) {
  if (!in.has_ledger()) return LedgerId{};
  if (in.ledger().zone() == 0) return bad("the ledger has no zone");
  return take_ledger(in);
}

Result<Base> take(const pb::Base& in) {
  Base out{in.version(), {}};
  NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
  return out;
}

template <typename M>
Result<std::optional<Base>> take_base(const M& in) {
  if (!in.has_base()) return std::nullopt;
  NOTP_ASSIGN(Base base, take(in.base()));
  return base;
}

Result<Want> take(const pb::Want& in) {
  Want out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  NOTP_ASSIGN(out.base, take_base(in));
  for (const pb::Base& older : in.older()) {
    NOTP_ASSIGN(Base base, take(older));
    out.older.push_back(base);
  }
  if (in.has_resume()) {
    out.resume.emplace();
    NOTP_ASSIGN(out.resume->artifact, take_hash(in.resume().artifact()));
    out.resume->offset = in.resume().offset();
  }
  out.version = in.version();
  out.heads_only = in.heads_only();
  NOTP_ASSIGN(out.pending_hash, take_hash(in.pending()));
  for (const std::string& row : in.lacks()) {
    NOTP_ASSIGN(const Hash content, take_hash(row));
    out.lacks.push_back(content);
  }
  return out;
}

Result<Hello> take(const pb::Hello& in) {
  Hello out;
  out.versions.assign(in.versions().begin(), in.versions().end());
  out.agent = in.agent();
  out.root_version = in.root_version();
  out.freshness_sequence = in.freshness_sequence();
  for (const pb::Want& row : in.wants()) {
    NOTP_ASSIGN(Want want, take(row));
    out.wants.push_back(std::move(want));
  }
  return out;
}

Result<ReleaseRef> take(const pb::Head& in) {
  ReleaseRef out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  out.version = in.version();
  NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
  NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
  out.epoch = in.epoch();
  return out;
}

Result<Refusal> take(const pb::Refusal& in) {
  NOTP_ASSIGN(LedgerId ledger, take_ledger(in));
  return Refusal{std::move(ledger), error_code_from_wire(in.code()), in.message()};
}

Result<Welcome> take(const pb::Welcome& in) {
  Welcome out;
  out.version = in.version();
  out.server = in.server();
  out.trust_domain = in.trust_domain();
  out.root_version = in.root_version();
  for (const pb::Head& row : in.heads()) {
    NOTP_ASSIGN(ReleaseRef head, take(row));
    out.heads.push_back(std::move(head));
  }
  for (const pb::Refusal& row : in.refusals()) {
    NOTP_ASSIGN(Refusal refusal, take(row));
    out.refusals.push_back(std::move(refusal));
  }
  return out;
}

Result<Offer> take(const pb::Offer& in) {
  Offer out;
  out.stream = in.stream();
  NOTP_ASSIGN(out.ledger, take_ledger_if_named(in));
  out.version = in.version();
  NOTP_ASSIGN(out.base, take_base(in));
  NOTP_ASSIGN(out.artifact, take_hash(in.artifact()));
  out.size = in.size();
  out.offset = in.offset();
  NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
  out.subscription = in.subscription();
  out.behind = in.behind();
  if (in.has_partial()) {
    out.partial.emplace();
    NOTP_ASSIGN(out.partial->content_root, take_hash(in.partial().content_root()));
    out.partial->without = in.partial().without();
  }
  out.effort = in.effort();
  return out;
}

Result<Commit> take(const pb::Commit& in) {
  Commit out;
  NOTP_ASSIGN(out.ledger, take_ledger_if_named(in));
  out.version = in.version();
  NOTP_ASSIGN(out.state, take_state(in.state()));
  out.code = in.code();
  out.message = in.message();
  NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
  if (in.has_freshness()) {
    NOTP_ASSIGN(out.freshness, take_freshness(in.freshness()));
  }
  out.subscription = in.subscription();
  return out;
}

Result<RootUpdate> take(const pb::RootUpdate& in) { return RootUpdate{in.envelope()}; }

Result<FreshnessHead> take(const pb::FreshnessHead& in) {
  FreshnessHead out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  out.epoch = in.epoch();
  out.version = in.version();
  NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
  for (const std::string& row : in.withdrawn()) {
    NOTP_ASSIGN(const Hash withdrawn, take_hash(row));
    out.withdrawn.push_back(withdrawn);
  }
  return out;
}

Result<FreshnessUpdate> take(const pb::FreshnessUpdate& in) {
  FreshnessUpdate out;
  out.sequence = in.sequence();
  out.base_sequence = in.base_sequence();
  out.issued_ms = in.issued_ms();
  out.lifetime_ms = in.lifetime_ms();
  out.root_version = in.root_version();
  for (const pb::FreshnessHead& row : in.heads()) {
    NOTP_ASSIGN(FreshnessHead head, take(row));
    out.heads.push_back(std::move(head));
  }
  for (const pb::LedgerName& row : in.gone()) out.gone.push_back({row.zone(), row.name()});
  out.signature = in.signature();
  return out;
}

Result<WantMore> take(const pb::WantMore& in) {
  WantMore out;
  for (const pb::Want& row : in.wants()) {
    NOTP_ASSIGN(Want want, take(row));
    out.wants.push_back(std::move(want));
  }
  return out;
}

Result<InventoryRequest> take(const pb::InventoryRequest& in) {
  return InventoryRequest{in.subscription(), in.listed()};
}

Result<Inventory> take(const pb::Inventory& in) {
  return Inventory{in.subscription(), in.files(), in.list(), in.sketch()};
}

Result<Ping> take(const pb::Ping& in) { return Ping{in.nonce()}; }
Result<Pong> take(const pb::Pong& in) { return Pong{in.nonce()}; }

Result<ErrorMessage> take(const pb::ErrorMessage& in) {
  return ErrorMessage{error_code_from_wire(in.code()), in.message(), in.retry_after_ms()};
}

Result<Bye> take(const pb::Bye& in) { return Bye{in.reason(), in.retry_after_ms()}; }

Result<Publish> take(const pb::Publish& in) {
  Publish out;
  out.request = in.request();
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  NOTP_ASSIGN(out.base, take_base(in));
  out.version = in.version();
  NOTP_ASSIGN(out.expected_head_hash, take_hash(in.expected_head()));
  out.size = in.size();
  out.message = in.message();
  out.stream = in.stream();
  out.pending = in.pending();
  out.break_dependants = in.break_dependants();
  return out;
}

Finding take_finding(const pb::Finding& in) {
  return {in.path(), in.line(), in.rule(), in.message()};
}

Result<PublishResult> take(const pb::PublishResult& in) {
  PublishResult out;
  out.request = in.request();
  out.version = in.version();
  NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
  out.commit = in.commit();
  out.code = in.code();
  out.message = in.message();
  if (in.has_head()) {
    NOTP_ASSIGN(out.head, take(in.head()));
  }
  out.head_publisher = in.head_publisher();
  out.head_issued_ms = in.head_issued_ms();
  for (const pb::Finding& row : in.findings()) out.findings.push_back(take_finding(row));
  for (const pb::Finding& row : in.warnings()) out.warnings.push_back(take_finding(row));
  out.signers = in.signers();
  out.threshold = in.threshold();
  return out;
}

Result<HistoryQuery> take(const pb::HistoryQuery& in) {
  HistoryQuery out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  out.below_version = in.below_version();
  out.rows_max = in.rows_max();
  return out;
}

Result<Withdraw> take(const pb::Withdraw& in) {
  Withdraw out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  out.version = in.version();
  out.reason = in.reason();
  return out;
}

LedgersQuery take(const pb::LedgersQuery& in) {
  LedgersQuery out;
  if (in.has_after()) out.after = LedgerId{in.after().zone(), in.after().name()};
  return out;
}

Result<PendingQuery> take(const pb::PendingQuery& in) {
  PendingQuery out;
  if (in.has_ledger()) out.ledger = LedgerId{in.ledger().zone(), in.ledger().name()};
  if (in.has_after_ledger() != !in.after_release().empty())
    return fail(ErrorCode::kMessage, "a place among pending releases is half there");
  if (!in.has_after_ledger()) return out;
  out.after.emplace(LedgerId{in.after_ledger().zone(), in.after_ledger().name()});
  NOTP_ASSIGN(out.after->release_hash, take_hash(in.after_release()));
  return out;
}

Result<Cosign> take(const pb::Cosign& in) {
  Cosign out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
  out.signature = in.signature();
  return out;
}

Result<DropPending> take(const pb::DropPending& in) {
  DropPending out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
  return out;
}

Result<Query> take(const pb::Query& in) {
  Query out;
  out.request = in.request();
  switch (in.what_case()) {
    case pb::Query::kHistory: {
      NOTP_ASSIGN(out.what, take(in.history()));
      return out;
    }
    case pb::Query::kNodes:
      out.what = NodesQuery{in.nodes().after(), in.nodes().rows_max()};
      return out;
    case pb::Query::kLedgers:
      out.what = take(in.ledgers());
      return out;
    case pb::Query::kRoots:
      out.what = RootsQuery{in.roots().after_version()};
      return out;
    case pb::Query::kPublishRoot:
      out.what = PublishRoot{in.publish_root().envelope()};
      return out;
    case pb::Query::kWithdraw: {
      NOTP_ASSIGN(out.what, take(in.withdraw()));
      return out;
    }
    case pb::Query::kPending: {
      NOTP_ASSIGN(out.what, take(in.pending()));
      return out;
    }
    case pb::Query::kCosign: {
      NOTP_ASSIGN(out.what, take(in.cosign()));
      return out;
    }
    case pb::Query::kDropPending: {
      NOTP_ASSIGN(out.what, take(in.drop_pending()));
      return out;
    }
    case pb::Query::kTrust:
      out.what = TrustQuery{};
      return out;
    case pb::Query::kNewJoinToken:
      out.what = NewJoinToken{in.new_join_token().node(), in.new_join_token().lifetime_ms(),
                              in.new_join_token().replace()};
      return out;
    case pb::Query::kRenewCertificate:
      out.what = RenewCertificate{in.renew_certificate().request()};
      return out;
    case pb::Query::WHAT_NOT_SET:
      break;
  }
  return bad("nothing is asked, or something that this version does not know");
}

Result<HistoryRow> take(const pb::HistoryRow& in) {
  HistoryRow out;
  out.version = in.version();
  NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
  NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
  out.publisher = in.publisher();
  out.message = in.message();
  out.issued_ms = in.issued_ms();
  out.total_bytes = in.total_bytes();
  out.file_count = in.file_count();
  out.commit = in.commit();
  out.envelope = in.envelope();
  out.withdrawn = in.withdrawn();
  return out;
}

Result<PendingRow> take(const pb::PendingRow& in) {
  PendingRow out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  out.version = in.version();
  NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
  out.publisher = in.publisher();
  out.message = in.message();
  out.received_ms = in.received_ms();
  out.signers = in.signers();
  out.threshold = in.threshold();
  out.envelope = in.envelope();
  return out;
}

TrustRow take(const pb::TrustRow& in) {
  TrustRow out;
  out.root_version = in.root_version();
  if (in.has_deny_list()) out.deny_list = LedgerId{in.deny_list().zone(), in.deny_list().name()};
  out.freshness_interval_ms = in.freshness_interval_ms();
  out.enroll_address = in.enroll_address();
  return out;
}

Certificate take(const pb::Certificate& in) { return {in.certificate(), in.authorities()}; }

Result<NodeLedger> take(const pb::NodeLedger& in) {
  NodeLedger out;
  NOTP_ASSIGN(out.ledger, take_ledger(in));
  out.version = in.version();
  NOTP_ASSIGN(out.state, take_state(in.state()));
  out.active_version = in.active_version();
  out.code = in.code();
  out.message = in.message();
  out.since_ms = in.since_ms();
  out.head_version = in.head_version();
  NOTP_ASSIGN(out.freshness, take_freshness(in.freshness()));
  out.vouched_ms = in.vouched_ms();
  return out;
}

Result<NodeRow> take(const pb::NodeRow& in) {
  NodeRow out{in.identity(), in.agent(), in.connected(), in.seen_ms(), {}};
  for (const pb::NodeLedger& row : in.ledgers()) {
    NOTP_ASSIGN(NodeLedger held, take(row));
    out.ledgers.push_back(std::move(held));
  }
  return out;
}

Result<Answer> take(const pb::Answer& in) {
  Answer out;
  out.request = in.request();
  out.code = in.code();
  out.message = in.message();
  for (const pb::HistoryRow& row : in.history()) {
    NOTP_ASSIGN(HistoryRow history, take(row));
    out.history.push_back(std::move(history));
  }
  for (const pb::NodeRow& row : in.nodes()) {
    NOTP_ASSIGN(NodeRow node, take(row));
    out.nodes.push_back(std::move(node));
  }
  for (const pb::Head& row : in.ledgers()) {
    NOTP_ASSIGN(ReleaseRef head, take(row));
    out.ledgers.push_back(std::move(head));
  }
  out.more = in.more();
  out.root_chain.assign(in.roots().begin(), in.roots().end());
  for (const pb::PendingRow& row : in.pending()) {
    NOTP_ASSIGN(PendingRow pending, take(row));
    out.pending.push_back(std::move(pending));
  }
  if (in.has_published()) {
    NOTP_ASSIGN(out.published, take(in.published()));
  }
  if (in.has_trust()) out.trust = take(in.trust());
  out.join_token = in.join_token();
  if (in.has_certificate()) out.certificate = take(in.certificate());
  for (const pb::Refusal& row : in.damaged()) {
    NOTP_ASSIGN(Refusal refusal, take(row));
    out.damaged.push_back(std::move(refusal));
  }
  return out;
}

Result<Join> take(const pb::Join& in) { return Join{in.token(), in.request()}; }

Result<Joined> take(const pb::Joined& in) {
  return Joined{take(in.certificate()), {in.roots().begin(), in.roots().end()}};
}

template <typename Generated>
Result<Message> parse(ByteView payload) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(payload.data()),
                                            static_cast<int>(payload.size()));
  in.SetRecursionLimit(limits::kProtobufDepthMax);
  Generated generated;
  if (!generated.ParseFromCodedStream(&in) || !in.ConsumedEntireMessage())
    return bad("the payload does not decode, or has text that is not UTF-8");
  NOTP_ASSIGN(Message message, take(generated));
  return message;
}

Result<Message> parse_as(FrameType type, ByteView payload) {
  switch (type) {
    case FrameType::kHello:
      return parse<pb::Hello>(payload);
    case FrameType::kWelcome:
      return parse<pb::Welcome>(payload);
    case FrameType::kOffer:
      return parse<pb::Offer>(payload);
    case FrameType::kCommit:
      return parse<pb::Commit>(payload);
    case FrameType::kWantMore:
      return parse<pb::WantMore>(payload);
    case FrameType::kPing:
      return parse<pb::Ping>(payload);
    case FrameType::kPong:
      return parse<pb::Pong>(payload);
    case FrameType::kError:
      return parse<pb::ErrorMessage>(payload);
    case FrameType::kBye:
      return parse<pb::Bye>(payload);
    case FrameType::kPublish:
      return parse<pb::Publish>(payload);
    case FrameType::kPublishResult:
      return parse<pb::PublishResult>(payload);
    case FrameType::kQuery:
      return parse<pb::Query>(payload);
    case FrameType::kAnswer:
      return parse<pb::Answer>(payload);
    case FrameType::kRootUpdate:
      return parse<pb::RootUpdate>(payload);
    case FrameType::kFreshnessUpdate:
      return parse<pb::FreshnessUpdate>(payload);
    case FrameType::kInventoryRequest:
      return parse<pb::InventoryRequest>(payload);
    case FrameType::kInventory:
      return parse<pb::Inventory>(payload);
    case FrameType::kJoin:
      return parse<pb::Join>(payload);
    case FrameType::kJoined:
      return parse<pb::Joined>(payload);
    case FrameType::kChunk:
      break;
  }
  return fail(ErrorCode::kFrame, "not a Protobuf frame");
}

}  // namespace

Result<Message> decode_protobuf(FrameType type, ByteView payload) {
  silence_protobuf();
  NOTP_TRY(check_shape(type, payload));
  NOTP_ASSIGN(Message message, parse_as(type, payload));
  NOTP_TRY(check(message));
  return message;
}

}  // namespace notp::wire
