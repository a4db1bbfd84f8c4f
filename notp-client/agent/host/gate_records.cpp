#include "notp-client/agent/host/gate_records.hpp"

#include <utility>

namespace notp::agent {
namespace {

using ActiveSets = std::map<record::Position, std::shared_ptr<const record::ActiveSet>>;

class Reader {
 public:
  Reader(spool::SegmentSource& log, const GateReading& reading)
      : log_(log), reading_(reading), wanted_(reading.wanted) {}

  Result<void> run();
  std::map<model::LedgerId, std::vector<GateRecord>> take() { return std::move(found_); }

 private:
  bool is_done() const {
    return wanted_.empty() || bytes_ > reading_.bytes_max ||
           std::chrono::steady_clock::now() > reading_.until || !reading_.go_on();
  }
  Result<void> read(const record::Segment& segment);
  Result<void> take(const record::Segment& segment, ByteView bytes);
  Result<std::shared_ptr<const record::ActiveSet>> active_at(record::Position position);

  spool::SegmentSource& log_;
  const GateReading& reading_;
  std::map<model::LedgerId, size_t> wanted_;  // still
  uint64_t bytes_ = 0;
  ActiveSets active_;
  std::map<model::LedgerId, std::vector<GateRecord>> found_;
};

Result<void> Reader::run() {
  (void)log_.seal_now();
  record::Position end = log_.sealed().size;
  while (end > 0 && !is_done()) {
    auto segment = log_.segment(end - 1);
    if (!segment && segment.error().code == ErrorCode::kNotFound) return {};  // deleted
    if (!segment) return std::unexpected(std::move(segment).error());
    if (!segment->body.empty()) NOTP_TRY(read(*segment));
    end = segment->head.first;
  }
  return {};
}

Result<void> Reader::read(const record::Segment& segment) {
  NOTP_ASSIGN(const auto opened, record::OpenedSegment::open(segment.head, segment.body));
  const auto records = opened.records();
  for (size_t left = records.size(); left > 0 && !wanted_.empty(); --left) {
    const ByteView bytes = records[left - 1];
    NOTP_ASSIGN(const record::RecordStart start, record::decode_start(bytes));
    if (start.kind == record::Kind::kDecision) NOTP_TRY(take(segment, bytes));
  }
  return {};
}

Result<void> Reader::take(const record::Segment& segment, ByteView bytes) {
  NOTP_ASSIGN(record::Record record, record::decode(bytes));
  auto& decision = std::get<record::DecisionContent>(record.content);
  const auto ledger = model::LedgerId::parse(decision.ledger);
  const auto wanted = ledger ? wanted_.find(*ledger) : wanted_.end();
  if (wanted == wanted_.end()) return {};
  const record::Place& place = record.place;
  GateRecord out;
  out.decision_id =
      decision.decision_id.empty()
          ? record::DecisionAddress::of(segment.head.log, place.run, place.position).text()
          : decision.decision_id;
  out.run = place.run;
  if (place.active != 0) {
    NOTP_ASSIGN(out.active, active_at(place.active));
  }
  out.decision = std::move(decision);
  bytes_ += bytes.size();
  found_[*ledger].push_back(std::move(out));
  if (--wanted->second == 0) wanted_.erase(wanted);
  return {};
}

// Null: it is deleted.
Result<std::shared_ptr<const record::ActiveSet>> Reader::active_at(record::Position position) {
  const auto [known, is_new] = active_.try_emplace(position);
  if (!is_new) return known->second;
  const auto segment = log_.segment(position);
  if (!segment && segment.error().code != ErrorCode::kNotFound)
    return std::unexpected(segment.error());
  if (!segment || segment->body.empty()) return nullptr;
  NOTP_ASSIGN(const auto opened, record::OpenedSegment::open(segment->head, segment->body));
  const size_t index = position - segment->head.first;
  if (index >= opened.records().size()) return nullptr;
  NOTP_ASSIGN(record::Record record, record::decode(opened.records()[index]));
  if (auto* const set = std::get_if<record::ActiveSet>(&record.content))
    known->second = std::make_shared<const record::ActiveSet>(std::move(*set));
  return known->second;
}

}  // namespace

Result<std::map<model::LedgerId, std::vector<GateRecord>>> newest_records(
    spool::SegmentSource& log, const GateReading& reading) {
  Reader reader(log, reading);
  NOTP_TRY(reader.run());
  return reader.take();
}

}  // namespace notp::agent
