#include "notp-client/agent/host/log_uploader.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "common/log.hpp"
#include "common/spawn.hpp"
#include "protocol/wire/log_limits.hpp"

namespace notp::agent {

namespace asio = boost::asio;

LogUploader::LogUploader(asio::any_io_executor executor, spool::SegmentSource& log,
                         Handlers handlers)
    : executor_(executor),
      log_(log),
      handlers_(std::move(handlers)),
      self_(std::make_shared<LogUploader*>(this)) {
  log_.on_sealed([executor, weak = std::weak_ptr(self_)] {
    asio::post(executor, [weak] {
      if (const auto self = weak.lock()) (*self)->run();
    });
  });
}

std::optional<wire::LogOffer> LogUploader::next_offer() {
  return shipper_.session_begins(log_.sealed());
}

void LogUploader::session_begins(session::ClientSession& session) {
  session_ = &session;
  ++session_number_;
}

void LogUploader::session_ended() {
  session_ = nullptr;
  shipper_.session_ended();
  log_.connected(false);
}

Result<void> LogUploader::granted(const wire::LogGrant& grant) {
  const auto accepted = shipper_.granted(grant, log_.sealed());
  log_.acknowledged(shipper_.acknowledged());
  log_.connected(accepted && shipper_.is_granted());
  run();
  return accepted;
}

void LogUploader::run() {
  while (session_ && !session_->is_closed() && !loading_ && !stopping_) {
    const spool::SealedLog log = log_.sealed();
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

void LogUploader::send(Result<record::Segment> segment) {
  if (!segment) {
    log::write(log::Level::kError, "segment_not_loaded", segment.error());
    shipper_.failed();
    return handlers_.failed(segment.error());
  }
  const record::Position end = segment->head.end();
  const uint64_t bytes = segment->body.size() + limits::kSegmentOverheadBytes;
  session_->send_segment(*std::move(segment));
  shipper_.sent(end, bytes);
  handlers_.wake();
}

}  // namespace notp::agent
