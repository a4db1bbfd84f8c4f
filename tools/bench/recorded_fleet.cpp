#include "tools/bench/recorded_fleet.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/crypto/x509.hpp"
#include "common/limits.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/checkpoint.hpp"
#include "tests/support/decision_records.hpp"

namespace notp::bench {
namespace {

constexpr size_t kNodes = 8;
constexpr uint64_t kRareRecords = 20;
constexpr int64_t kCertificateMs = 3'600'000;
// The records at the beginning of each log: its run, and what decides.
constexpr record::Position kFirstDecision = 2;

void add_rare_value(record::DecisionContent& content) {
  if (!content.input || !content.input->ends_with('}')) return;
  content.input->pop_back();
  *content.input += fmt::format(R"(,"case":"{}","note":"{}, by phone"}})", kRareValue, kRareText);
}

}  // namespace

RecordedFleet::RecordedFleet(uint64_t seed, uint64_t records) : seed_(seed), records_(records) {
  for (size_t i = 0; i < kNodes; ++i) {
    PrivateKey key = PrivateKey::generate();
    const record::LogId log = record::LogId::of(key.public_key());
    nodes_.push_back(
        {fmt::format("spiffe://{}/node/edge-{}", kFleetDomain, i + 1), std::move(key), log});
  }
}

Result<Bytes> RecordedFleet::announcement_of(const Node& node) {
  NOTP_ASSIGN(const auto signing, x509::make_key(x509::KeyType::kP256));
  x509::Draft draft;
  draft.common_name = "node";
  draft.uris = {node.name};
  draft.not_after_ms = kCertificateMs;
  NOTP_ASSIGN(const auto certificate, x509::sign_own(draft, signing.get()));
  NOTP_ASSIGN(const Bytes der, x509::der_of(certificate.get()));
  return record::sign_announcement(
      {kFleetDomain, node.name, node.key.public_key(), 1'000, {}, "the first"},
      {{der}, [&](ByteView message) { return x509::sign_message(signing.get(), message); }});
}

record::Record RecordedFleet::make_record(size_t node, record::Position position) {
  const int64_t time_ns = samples::decision_time_ns(position);
  if (position == 0) return {{0, 1, 0}, time_ns, record::RunStart{"notp-bench", 1, "a boot"}};
  if (position == 1) return {{1, 1, 0}, time_ns, samples::active_set()};
  record::DecisionContent content = samples::decision(seed_ * kNodes + node, position);
  const uint64_t step = std::max<uint64_t>(1, records_ / kRareRecords);
  if (made_ % step == step / 2) {
    add_rare_value(content);
    ++rare_;
  }
  ++decisions_;
  if (content.input->contains(fmt::format("\"{}\"", kFrequentValue))) ++frequent_;
  return {{position, 1, 1}, time_ns, std::move(content)};
}

Result<std::optional<RecordedFleet::NodeSegment>> RecordedFleet::next() {
  if (made_ == records_) return std::nullopt;
  const size_t index = turn_++ % nodes_.size();
  Node& node = nodes_[index];
  SystemRandom random;
  Bytes secret;
  while (secret.size() < record::kSegmentSecretBytes)
    secret += sha256(fmt::format("{}", random.next_u64())).view();
  record::SegmentBuilder builder(node.tree.size(), std::move(secret));
  for (; made_ < records_; ++made_) {
    const Bytes bytes = record::encode(make_record(index, node.tree.size()));
    builder.add(bytes, node.tree);
    if (builder.is_full_for(bytes.size())) {
      ++made_;
      break;
    }
  }
  NOTP_ASSIGN(record::Segment segment,
              std::move(builder).seal(node.log, node.tree, record::log_origin(node.name, node.log),
                                      node.key));
  return NodeSegment{node.name, std::move(segment)};
}

std::vector<std::string> RecordedFleet::draw_ids(size_t count) const {
  SeededRandom random(seed_);
  std::vector<std::string> out;
  for (size_t i = 0; i < count; ++i) {
    const Node& node = nodes_[random.below(std::min(turn_, nodes_.size()))];
    const record::Position position =
        std::min(kFirstDecision + random.below(node.tree.size()), node.tree.size() - 1);
    out.push_back(record::DecisionAddress::of(node.log, 1, position).text());
  }
  return out;
}

}  // namespace notp::bench
