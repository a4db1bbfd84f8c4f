// A node's log and a registry that has it, in memory, for the tests of `notp decisions`.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <tuple>

#include "common/crypto/x509.hpp"
#include "protocol/record/announcement.hpp"
#include "tools/notp/audit/audit_port.hpp"
#include "tools/notp/audit/audit_record.hpp"
#include "tools/pki/pki.hpp"

namespace notp::cli {

inline constexpr std::string_view kNode = "spiffe://core.internal/node/edge-1";
inline constexpr std::string_view kDomain = "core.internal";
inline constexpr int64_t kStartNs = 1'782'907'200'000'000'000;  // 2026-07-01T12:00:00Z

inline record::DecisionContent decision(std::string path, std::string input) {
  record::DecisionContent out;
  out.path = std::move(path);
  out.ledger = "100000000001/payments";
  out.outcome = record::Outcome::kAllow;
  out.input = std::move(input);
  out.result = "true";
  return out;
}

inline record::ActiveSet active_set() {
  const Hash hash = sha256("a release"), root = sha256("its content");
  return {{{{{100'000'000'001, "payments"}, 3, 41, hash, root}, "fresh"},
           {{{100'000'000'001, "roles"}, 1, 7, root, hash}, "stale"}},
          "embedded",
          "1.22.2",
          "r-41",
          R"({"ledgers":{}})"};
}

// The announcement of a log by a certificate that `authority` has issued, or that is its own.
inline Bytes announce(const std::string& identity, const PublicKey& log_key,
                      const pki::Credential* authority = nullptr,
                      std::optional<record::LogId> previous = std::nullopt) {
  const auto tls_key = x509::make_key(x509::KeyType::kP256);
  x509::Draft draft;
  draft.common_name = "edge-1";
  draft.uris = {identity};
  draft.not_after_ms = 4'000'000'000'000;
  const auto certificate =
      authority ? x509::issue(*x509::Issuer::read(authority->certificate_pem, authority->key_pem),
                              draft, tls_key->get())
                : x509::sign_own(draft, tls_key->get());
  REQUIRE(certificate);
  record::AnnouncementSigner signer;
  signer.certificates = {*x509::der_of(certificate->get())};
  signer.sign = [&](ByteView message) { return x509::sign_message(tls_key->get(), message); };
  auto out = record::sign_announcement(
      {std::string(kDomain), identity, log_key, 1'000, previous, "the first"}, signer);
  REQUIRE(out);
  return *std::move(out);
}

// The log of one node, with an announcement by a certificate.
class SignedLog {
 public:
  // Its certificate is issued by `authority`, or by itself.
  explicit SignedLog(uint8_t seed, std::string node = std::string(kNode),
                     std::optional<record::LogId> previous = std::nullopt,
                     const pki::Credential* authority = nullptr)
      : node_(std::move(node)), key_(PrivateKey::from_seed({seed})) {
    announcement_ = announce(node_, key_.public_key(), authority, previous);
  }

  record::LogId id() const { return record::LogId::of(key_.public_key()); }
  const std::string& node() const { return node_; }

  // Seals records; their positions are those that follow.
  const record::Segment& seal(std::vector<record::Record> records) {
    record::SegmentBuilder builder(tree_.size(), Bytes(record::kSegmentSecretBytes, 's'));
    for (record::Record& each : records) {
      each.place.position = tree_.size();
      if (each.place.run == 0) each.place.run = 1;
      builder.add(record::encode(each), tree_);
      leaves_.push_back(builder.leaves().back());
      records_.push_back(each);
    }
    auto segment = std::move(builder).seal(id(), tree_, record::log_origin(node_, id()), key_);
    REQUIRE(segment);
    segments_.push_back(*std::move(segment));
    return segments_.back();
  }

  wire::LogRow row() const {
    wire::LogRow row;
    row.node = node_;
    row.log = id();
    row.size = tree_.size();
    row.root = tree_.root();
    row.announcement = announcement_;
    return row;
  }
  // The segment without its body, as a node with a full disk ships it.
  record::Segment without_body(size_t index) const {
    record::Segment out = segments_[index];
    const auto first = static_cast<size_t>(out.head.first);
    out.body.clear();
    out.subtrees =
        record::subtrees(out.head.first, std::span(leaves_).subspan(first, out.head.count));
    return out;
  }

  const PrivateKey& key() const { return key_; }
  const std::vector<Hash>& leaves() const { return leaves_; }
  const std::vector<record::Record>& records() const { return records_; }
  std::vector<record::Segment> segments_;

 private:
  std::string node_;
  PrivateKey key_;
  Bytes announcement_;
  record::Frontier tree_;
  std::vector<Hash> leaves_;
  std::vector<record::Record> records_;
};

// Answers from logs in memory: the newest or the oldest first, `page_rows` at a time.
class FakeRegistry final : public AuditPort {
 public:
  std::vector<SignedLog*> logs;
  size_t page_rows = 3;
  size_t questions = 0;
  std::optional<Error> refusal;    // of every question
  bool leave_records_out = false;  // as of records that are too large for a page

  Result<wire::DecisionsPage> ask(const wire::DecisionsRequest& request) override {
    ++questions;
    if (refusal) return std::unexpected(*refusal);
    std::vector<wire::DecisionRow> all = matching(request.filter);
    if (!request.oldest_first) std::ranges::reverse(all);
    const size_t from = request.cursor.empty() ? 0 : std::stoul(request.cursor);
    const size_t count = std::min({all.size() - from, page_rows, size_t{request.rows_max}});
    wire::DecisionsPage page;
    page.rows.assign(all.begin() + static_cast<ptrdiff_t>(from),
                     all.begin() + static_cast<ptrdiff_t>(from + count));
    page.more = from + count < all.size();
    if (page.more) page.cursor = std::to_string(from + count);
    return page;
  }
  Result<wire::DecisionCountsPage> ask(const wire::DecisionCountsRequest&) override {
    return wire::DecisionCountsPage{};
  }
  Result<wire::LogsPage> ask(const wire::LogsRequest& request) override {
    if (refusal) return std::unexpected(*refusal);
    wire::LogsPage page;
    for (const SignedLog* log : logs)
      if (request.node.empty() || request.node == log->node()) page.rows.push_back(log->row());
    std::ranges::sort(page.rows, {}, &wire::LogRow::log);
    std::erase_if(page.rows, [&](const wire::LogRow& row) {
      return request.after && row.log <= *request.after;
    });
    page.more = page.rows.size() > 1;
    if (page.more) page.rows.resize(1);
    return page;
  }
  Result<wire::SegmentPart> ask(const wire::SegmentRequest& request) override {
    ++questions;
    for (const SignedLog* log : logs)
      for (const record::Segment& each : log->segments_)
        if (log->id() == request.log && request.position >= each.head.first &&
            request.position < each.head.end())
          return part(each, request.offset);
    return fail(ErrorCode::kNotFound, "no such segment");
  }

 private:
  static wire::SegmentPart part(const record::Segment& segment, uint64_t offset) {
    constexpr size_t kPartBytes = 100;
    wire::SegmentPart out;
    out.head = segment.head;
    out.subtrees = segment.subtrees;
    out.total = segment.body.size();
    if (offset < out.total) out.content = segment.body.substr(offset, kPartBytes);
    return out;
  }
  std::vector<wire::DecisionRow> matching(const wire::DecisionFilter& filter) const {
    std::vector<std::pair<int64_t, wire::DecisionRow>> timed;
    for (const SignedLog* log : logs)
      for (const record::Record& each : log->records()) {
        const int64_t time_ms = each.time_ns / 1'000'000;
        const bool kind_fits =
            filter.kinds.empty()
                ? each.kind() == record::Kind::kDecision
                : std::ranges::find(filter.kinds, each.kind()) != filter.kinds.end();
        const auto* content = std::get_if<record::DecisionContent>(&each.content);
        const bool id_fits =
            filter.decision_id.empty() || (content && content->decision_id == filter.decision_id);
        if (!kind_fits || !id_fits || (!filter.node.empty() && filter.node != log->node()) ||
            time_ms < filter.since_ms || (filter.until_ms != 0 && time_ms >= filter.until_ms))
          continue;
        wire::DecisionRow row;
        row.node = log->node();
        row.log = log->id();
        row.position = each.place.position;
        if (!leave_records_out) row.record = record::encode(each);
        if (each.place.active != 0) row.active = record::encode(log->records()[each.place.active]);
        timed.emplace_back(each.time_ns, std::move(row));
      }
    std::ranges::sort(timed, {}, [](const auto& each) {
      return std::tuple(each.first, each.second.log, each.second.position);
    });
    std::vector<wire::DecisionRow> out;
    for (auto& [time, row] : timed) out.push_back(std::move(row));
    return out;
  }
};

inline record::Record at(record::Content content, int64_t time_ns = kStartNs, uint32_t run = 1,
                         record::Position active = 0) {
  record::Record out;
  out.time_ns = time_ns;
  out.content = std::move(content);
  out.place.run = run;
  out.place.active = active;
  return out;
}

}  // namespace notp::cli
