#include "notp-client/agent/host/log_uploader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <tuple>
#include <utility>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/spawn.hpp"
#include "protocol/wire/log_limits.hpp"

namespace notp::agent {

namespace asio = boost::asio;

namespace {

// For LogOffer and Segment: how long the oldest sealed record has been waiting.
uint64_t oldest_age_ms(const spool::SealedLog& log, TimeMs wall_ms) {
  if (log.oldest_ms == 0) return 0;
  return static_cast<uint64_t>(
      std::clamp<TimeMs>(wall_ms - log.oldest_ms, 1, limits::kTimestampMsMax));
}

// Of what the registry says, the beginning: the announcement has it for ever.
constexpr size_t kReasonBytesMax = 512;

std::string reason_of(const Error& refusal) {
  return fmt::format(
      "{}: {}",
      refusal.code == ErrorCode::kLogFork ? "it is a fork" : "the registry lacks deleted records",
      printable(refusal.message, kReasonBytesMax));
}

std::string_view advice(const Error& refusal) {
  if (refusal.code == ErrorCode::kLogFork)
    return "they are one of two branches; if this happens again, two machines use one identity: "
           "give each its own";
  return "what was not sent is there alone; if no operator restored the registry's audit store, "
         "find out what it lost";
}

}  // namespace

LogUploader::LogUploader(asio::any_io_executor executor, spool::SegmentSource& log,
                         Handlers handlers)
    : executor_(executor),
      log_(log),
      handlers_(std::move(handlers)),
      receipts_(executor, log, loader_,
                {.answered =
                     [this] {
                       handlers_.wake();
                       if (handlers_.tree) handlers_.tree(tree_witness());
                     },
                 .clock = handlers_.clock}),
      self_(std::make_shared<LogUploader*>(this)) {
  log_.on_sealed([executor, weak = std::weak_ptr(self_)] {
    asio::post(executor, [weak] {
      if (const auto self = weak.lock()) (*self)->run();
    });
  });
}

std::optional<wire::LogOffer> LogUploader::next_offer() {
  const spool::SealedLog log = log_.sealed();
  offered_ = log.log;
  acknowledged_before_ = log.acknowledged;
  new_log_.why.reset();
  auto offer = shipper_.session_begins(log);
  if (!offer) return offer;
  offer->oldest_age_ms = oldest_age_ms(log, handlers_.clock().wall_ms);
  std::tie(offer->tree, offer->tree_size) = log_.offered_tree();
  return offer;
}

void LogUploader::session_begins(session::ClientSession& session, spool::ReceiptPeer registry) {
  session_ = &session;
  ++session_number_;
  receipts_.session_begins(session, std::move(registry));
}

void LogUploader::session_ended() {
  session_ = nullptr;
  receipts_.session_ended();
  shipper_.session_ended();
  log_.connected(false);
}

Result<void> LogUploader::granted(const wire::LogGrant& grant) {
  const auto accepted = shipper_.granted(grant, log_.sealed());
  // Not to a log that takes this one's place meanwhile.
  if (shipper_.is_granted() && !new_log_.is_under_way) log_.acknowledged(shipper_.acknowledged());
  log_.connected(accepted && shipper_.is_granted());
  if (!accepted && !new_log_.why && ends_log(accepted.error())) new_log_.why = accepted.error();
  run();
  return accepted;
}

bool LogUploader::ends_log(const Error& refusal) const {
  // What the registry lacks and this node has deleted is lacking in every later session, too.
  const bool is_lasting_gap = refusal.code == ErrorCode::kLogGap && shipper_.is_granted() &&
                              log_.sealed().first > shipper_.acknowledged();
  return refusal.code == ErrorCode::kLogFork || is_lasting_gap;
}

void LogUploader::run() {
  while (session_ && !session_->is_closed() && !loading_ && !stopping_) {
    const spool::SealedLog log = log_.sealed();
    if (log.log != offered_ && log.log != record::LogId{}) return offer_again(log);
    if (new_log_.why) return begin_new_log();
    const auto step = shipper_.next(log);
    if (!step) return;
    if (step->kind == spool::ShipStep::Kind::kAnnounce) {
      session_->announce_log(log.announcement);
      handlers_.wake();
      continue;
    }
    loading_ = true;
    spawn(executor_, load_and_send(self_, session_number_, step->first));
  }
}

// The uploader may be gone before the first step, and while the segment is loaded.
asio::awaitable<void> LogUploader::load_and_send(std::weak_ptr<LogUploader*> self,
                                                 uint64_t session_number, record::Position first) {
  if (self.expired()) co_return;
  LogUploader& uploader = **self.lock();
  auto segment = co_await transport::offload(
      uploader.loader_, [&log = uploader.log_, first] { return log.segment(first); });
  if (self.expired()) co_return;
  uploader.loading_ = false;
  // A load for an earlier session is no step of this one.
  if (uploader.session_ && session_number == uploader.session_number_)
    uploader.send(std::move(segment));
  uploader.run();
}

// --- the registry's tree

TreeWitness LogUploader::tree_witness() const {
  const spool::SealedLog log = log_.sealed();
  const spool::TreeState tree = log_.tree();
  return {.is_granted = shipper_.is_granted(),
          .is_known = !tree.announcement.empty(),
          .acknowledged = log.acknowledged,
          .witnessed = tree.log == log.log ? tree.size : 0,
          .refused = tree.refusal ? tree.refusal->message : std::string()};
}

// --- a log that follows another one

// A session may last longer than the wait: then the next seal looks again.
void LogUploader::begin_new_log() {
  const TimeMs now_ms = handlers_.clock().boot_ms;
  if (new_log_.is_under_way || now_ms < new_log_.next_ms) return;
  new_log_.is_under_way = true;
  receipts_.pause();
  // What this session acknowledged may be of the other branch.
  if (new_log_.why->code == ErrorCode::kLogFork) log_.acknowledged(acknowledged_before_);
  new_log_.next_ms = now_ms + kNewLogMs;
  spawn(executor_, replace_log(self_, *new_log_.why));
}

asio::awaitable<void> LogUploader::replace_log(std::weak_ptr<LogUploader*> self, Error refusal) {
  if (self.expired()) co_return;
  LogUploader& uploader = **self.lock();
  const auto begun = co_await transport::offload(
      uploader.loader_,
      [&log = uploader.log_, reason = reason_of(refusal)] { return log.begin_new_log(reason); });
  if (self.expired()) co_return;
  uploader.new_log_.is_under_way = false;
  uploader.report_new_log(refusal, begun);
  uploader.receipts_.resume();
  uploader.run();
}

void LogUploader::report_new_log(const Error& refusal, const Result<spool::NewLog>& begun) {
  if (!begun)
    return handlers_.failed(
        Error(begun.error()).in(fmt::format("{}; a new log could not be begun", refusal.message)));
  new_log_.why.reset();
  handlers_.failed(
      {ErrorCode::kLogGap,
       fmt::format("{}; a new log, {}, follows it, and has all decisions from now on; keep the "
                   "files of the old one, {}: {}",
                   refusal.message, begun->log.hex(), begun->kept, advice(refusal)),
       {}});
}

void LogUploader::offer_again(const spool::SealedLog& log) {
  log::info("log_offered_anew", {{"log", log.log.hex()}});
  session_->say_bye("another log is offered in the next session");
  handlers_.wake();
}

void LogUploader::send(Result<record::Segment> segment) {
  if (!segment) {
    log::write(log::Level::kError, "segment_not_loaded", segment.error());
    shipper_.failed();
    return handlers_.failed(segment.error());
  }
  const record::Position end = segment->head.end();
  const uint64_t bytes = segment->body.size() + limits::kSegmentOverheadBytes;
  const spool::SealedLog log = log_.sealed();
  session_->send_segment(*std::move(segment),
                         end < log.size ? oldest_age_ms(log, handlers_.clock().wall_ms) : 0);
  shipper_.sent(end, bytes);
  handlers_.wake();
}

}  // namespace notp::agent
