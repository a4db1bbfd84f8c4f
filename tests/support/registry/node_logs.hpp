// Logs of decisions as nodes ship them, and what a reader should find in them.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "common/crypto/x509.hpp"
#include "notp-server/audit/segment_index.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/checkpoint.hpp"
#include "protocol/record/record.hpp"
#include "protocol/record/segment.hpp"
#include "tests/support/decision_records.hpp"

namespace notp::samples {

inline std::string node_id(std::string_view name) {
  return fmt::format("spiffe://core-platform.internal/node/{}", name);
}

// One log of one node. The same name and seed give the same log; its announcement has a new
// certificate each time.
class NodeLog {
 public:
  NodeLog(std::string_view name, uint8_t seed)
      : node(node_id(name)), key(PrivateKey::from_seed({seed, 7})), seed_(seed) {}

  const std::string node;
  const PrivateKey key;
  const PublicKey log_key = key.public_key();
  const record::LogId id = record::LogId::of(log_key);
  std::vector<record::Record> records;  // all that segments were made of
  record::Frontier tree;

  Bytes announcement() const { return announcement_of(node, log_key); }
  static Bytes announcement_of(const std::string& of_node, const PublicKey& of_key,
                               std::string domain = "core-platform.internal") {
    auto signing = x509::make_key(x509::KeyType::kP256);
    REQUIRE(signing);
    x509::Draft draft;
    draft.common_name = "node";
    draft.uris = {of_node};
    draft.not_after_ms = 3'600'000;
    const auto certificate = x509::sign_own(draft, signing->get());
    REQUIRE(certificate);
    const record::AnnouncementSigner signer{
        {*x509::der_of(certificate->get())},
        [&](ByteView message) { return x509::sign_message(signing->get(), message); }};
    const auto out = record::sign_announcement(
        {std::move(domain), of_node, of_key, 1'000, {}, "a test"}, signer);
    REQUIRE_MESSAGE(out, out.error().message);
    return *out;
  }

  // Makes the next segment of `count` records: at first a start and what is decided with, then
  // decisions.
  record::Segment next(size_t count) {
    std::vector<record::Record> made;
    while (made.size() < count) made.push_back(next_record(records.size() + made.size()));
    return seal(std::move(made));
  }
  // Makes a segment of these, after what was made before.
  record::Segment seal(std::vector<record::Record> made) {
    record::SegmentBuilder builder(tree.size(), secret());
    for (const record::Record& record : made) builder.add(record::encode(record), tree);
    auto segment = std::move(builder).seal(id, tree, record::log_origin(node, id), key);
    REQUIRE_MESSAGE(segment, segment.error().message);
    for (record::Record& record : made) records.push_back(std::move(record));
    return *std::move(segment);
  }
  // The same segment after the node has dropped its body.
  static record::Segment without_body(record::Segment segment) {
    const auto opened = record::OpenedSegment::open(segment.head, segment.body);
    REQUIRE(opened);
    segment.subtrees = record::subtrees(segment.head.first, leaf_hashes(segment.head, *opened));
    segment.body.clear();
    return segment;
  }
  record::Record decision_record(record::DecisionContent content) const {
    return {{records.size(), 1, active_}, decision_time_ns(records.size()), std::move(content)};
  }

 private:
  Bytes secret() const {
    return Bytes(sha256(fmt::format("secret {} {}", seed_, tree.size())).view());
  }
  record::Record next_record(record::Position position) {
    const int64_t time_ns = decision_time_ns(position);
    if (position == 0) return {{position, 1, 0}, time_ns, record::RunStart{"test", 1, "a boot"}};
    if (position == 1 || position % 700 == 0) {
      record::ActiveSet set = active_set();
      set.releases[0].ref.version = 40 + position;
      set.releases[0].ref.release_hash = sha256(fmt::format("release {}", position));
      const record::Position before = active_;
      active_ = position;
      return {{position, 1, before}, time_ns, std::move(set)};
    }
    if (position % 333 == 0)
      return {{position, 1, active_},
              time_ns,
              record::Gap{record::GapReason::kPowerLoss, 2, true, "", ""}};
    return {{position, 1, active_}, time_ns, decision(seed_, position)};
  }

  const uint8_t seed_;
  record::Position active_ = 0;
};

// A segment as the intake stores it. `tree` is the one after it.
inline audit::StoredSegment stored(const NodeLog& log, record::Segment segment,
                                   const record::Frontier& tree, TimeMs stored_ms) {
  audit::StoredSegment out;
  out.node = log.node;
  out.tree = tree;
  out.stored_ms = stored_ms;
  out.first_time_ns = out.last_time_ns = stored_ms * 1'000'000;
  if (!segment.body.empty()) {
    const auto opened = record::OpenedSegment::open(segment.head, segment.body);
    REQUIRE(opened);
    auto index = audit::build_index(segment.head, *opened);
    REQUIRE_MESSAGE(index, index.error().message);
    out.index = std::move(index->index);
    out.first_time_ns = index->first_time_ns;
    out.last_time_ns = index->last_time_ns;
  }
  out.segment = std::move(segment);
  return out;
}

}  // namespace notp::samples
