#include "notp-server/audit_tree/witnesses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "common/log.hpp"
#include "protocol/record/tlog_proof.hpp"

namespace notp::audit {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kDone = 200, kOtherSize = 409;
constexpr std::string_view kSizeType = "text/x.tlog.size";

std::optional<uint64_t> size_in(const http::Response& response) {
  if (http::find_header(response.headers, "Content-Type") != kSizeType) return std::nullopt;
  std::string_view text = response.body;
  if (text.ends_with('\n')) text.remove_suffix(1);
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return size;
}

}  // namespace

Witnesses::Witnesses(const TreeLog& tree, WitnessesOptions options)
    : tree_(tree), options_(std::move(options)) {}

Witnesses::~Witnesses() { stop(); }

void Witnesses::start() {
  for (const WitnessAddress& address : options_.witnesses) {
    auto witness = std::make_unique<Witness>();
    witness->address = &address;
    Witness& started = *witnesses_.emplace_back(std::move(witness));
    started.thread = std::thread([this, &started] { run(started); });
  }
}

void Witnesses::sealed() { wake_.notify_all(); }

void Witnesses::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (const auto& witness : witnesses_)
    if (witness->thread.joinable()) witness->thread.join();
}

bool Witnesses::wait_for(uint64_t size, steady_clock::time_point not_before) {
  constexpr milliseconds kLook{1'000};  // a seal may come between a look and the wait
  MutexLock lock(mutex_);
  while (!stopping_ && (tree_.size() <= size || steady_clock::now() < not_before))
    wake_.wait_for(lock, kLook);
  return !stopping_;
}

void Witnesses::run(Witness& witness) {
  milliseconds pause{0};
  steady_clock::time_point not_before{};
  while (wait_for(witness.size, not_before)) {
    const auto asked = ask(witness);
    if (asked) {
      if (std::exchange(witness.is_failing, false))
        log::info("witness_answers", {{"url", witness.address->url}});
      pause = milliseconds(0);
      not_before = {};
      continue;
    }
    if (!std::exchange(witness.is_failing, true))
      log::write(log::Level::kError, "witness_failed", asked.error(),
                 {{"url", witness.address->url}});
    pause = std::clamp(
        2 * pause, milliseconds(options_.retry_ms),
        std::max(milliseconds(options_.retry_ms), milliseconds(limits::kWitnessRetryMsMax)));
    not_before = steady_clock::now() + pause;
  }
}

// A witness that has another size than was thought says so, and is asked once more.
Result<void> Witnesses::ask(Witness& witness) {
  const WitnessAddress& address = *witness.address;
  for (bool is_first = true;; is_first = false) {
    const SealedCheckpoint newest = tree_.newest();
    NOTP_ASSIGN(const auto consistency, tree_.consistency(witness.size, newest.size));
    NOTP_ASSIGN(const http::Response response,
                options_.client.call_blocking(
                    {.method = "POST",
                     .url = address.url + "/add-checkpoint",
                     .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
                     .body = record::add_checkpoint_body({witness.size, consistency, newest.note}),
                     .deadline_ms = options_.call_ms,
                     .answer_bytes_max = limits::kWitnessAnswerBytesMax}));
    if (response.status == kDone) {
      NOTP_ASSIGN(record::Cosignature cosignature,
                  record::cosignature_in(response.body, address.key, newest.note));
      witness.size = newest.size;
      options_.cosigned(newest.size, std::move(cosignature), address.key.key);
      return {};
    }
    const auto has = response.status == kOtherSize ? size_in(response) : std::nullopt;
    if (has && *has > newest.size)
      return fail(ErrorCode::kRegistrySplit,
                  fmt::format("the witness {} has cosigned this tree with {} entries, and it has "
                              "{}: the registry was put back from a backup or a copy",
                              printable(address.key.name), *has, newest.size));
    if (!has || !is_first)
      return fail(ErrorCode::kUnavailable,
                  fmt::format("the witness {} answers {}: {}", printable(address.key.name),
                              response.status, printable(response.body)));
    witness.size = *has;
  }
}

}  // namespace notp::audit
