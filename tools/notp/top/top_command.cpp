// notp top: what a registry and its fleet do now.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>

#include "tools/notp/command.hpp"
#include "tools/notp/duration.hpp"
#include "tools/notp/top/picture.hpp"
#include "tools/notp/top/screen.hpp"
#include "tools/notp/top/status_feed.hpp"
#include "tools/notp/top/terminal.hpp"

namespace notp::cli {
namespace {

// The session is looked after only while a question is asked, and must not look idle.
constexpr uint32_t kIntervalMaxS = 60;
constexpr size_t kBlockColumns = 80;
// An answer that takes longer than this and two intervals is missed.
constexpr TimeMs kMissedMs = 1'000;

struct TopOptions {
  bool once = false;
  uint32_t interval_s = 1;
  std::string order = "deviating";
  size_t ledgers_max = 20;
};

// CLI11 has checked the name.
LedgerOrder order_of(std::string_view name) {
  return static_cast<LedgerOrder>(std::ranges::find(kLedgerOrderNames, name) - kLedgerOrderNames);
}

// The last answer, and since when there is none.
class Watch {
 public:
  Watch(StatusFeed& feed, LedgerOrder order, TimeMs interval_ms)
      : feed_(feed), order_(order), missed_ms_(2 * interval_ms + kMissedMs) {}

  void take(wire::RegistryStatus status) {
    sort_ledgers(status.ledgers, order_);
    rates_ = status_ ? rates_between(*status_, status) : std::nullopt;
    status_ = std::move(status);
    trouble_.reset();
    answered_ms_ = read_clock().boot_ms;
  }
  // An error leaves the last answer where it is.
  void ask() {
    auto status = feed_.ask();
    if (status) return take(*std::move(status));
    if (status.error().code == ErrorCode::kCancelled) return;
    rates_.reset();
    trouble_ = Trouble{std::move(status).error().message, answered_ms_};
  }
  std::vector<std::string> lines(const Output& output, Room room) const {
    const TimeMs now_ms = read_clock().boot_ms;
    return screen_lines(output,
                        {.registry = feed_.registry(),
                         .status = status_ ? &*status_ : nullptr,
                         .rates = rates_,
                         .trouble = trouble(now_ms),
                         .now_ms = now_ms},
                        room);
  }
  const std::optional<wire::RegistryStatus>& status() const { return status_; }

 private:
  std::optional<Trouble> trouble(TimeMs now_ms) const {
    if (trouble_ || now_ms - answered_ms_ < missed_ms_) return trouble_;
    return Trouble{"the registry has not answered yet", answered_ms_};
  }

  StatusFeed& feed_;
  const LedgerOrder order_;
  const TimeMs missed_ms_;
  std::optional<wire::RegistryStatus> status_;
  std::optional<Rates> rates_;
  std::optional<Trouble> trouble_;
  TimeMs answered_ms_ = read_clock().boot_ms;
};

// The signal that ended it; 0: the user did.
int watch_on_terminal(const Output& output, StatusFeed& feed, Watch& watch, TimeMs interval_ms) {
  Terminal terminal;
  bool quits = false;
  const auto draw = [&] { terminal.draw(watch.lines(output, Terminal::room())); };
  const auto look_at = [&](Terminal::Event event) {
    if (event == Terminal::Event::kRedraw) draw();
    quits = quits || event == Terminal::Event::kQuit;
  };
  TimeMs drawn_ms = 0;
  feed.set_meanwhile([&] {
    look_at(terminal.wait(0));
    // The age of what is shown, while a registry does not answer.
    if (read_clock().boot_ms - drawn_ms >= interval_ms) {
      drawn_ms = read_clock().boot_ms;
      draw();
    }
    return !quits;
  });
  while (!quits) {
    draw();
    drawn_ms = read_clock().boot_ms;
    const TimeMs next_ms = drawn_ms + interval_ms;
    for (TimeMs now_ms = drawn_ms; !quits && now_ms < next_ms; now_ms = read_clock().boot_ms)
      look_at(terminal.wait(next_ms - now_ms));
    if (!quits) watch.ask();
  }
  feed.set_meanwhile({});
  return terminal.ended_by();
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

Result<int> run_top(const Context& context, const TopOptions& options) {
  if (context.output.is_json() && !options.once)
    return std::unexpected(
        Error{ErrorCode::kUsage, "a picture that goes on is no document", {}}.with(
            "hint", "add --once: 'notp top --once -o json'"));
  NOTP_ASSIGN(StatusFeed feed, StatusFeed::open(context));
  NOTP_ASSIGN(wire::RegistryStatus first, feed.ask_first());
  const Room block{.columns = kBlockColumns, .rows = SIZE_MAX, .ledgers = options.ledgers_max};
  const TimeMs interval_ms = TimeMs{options.interval_s} * 1000;
  Watch watch(feed, order_of(options.order), interval_ms);
  watch.take(std::move(first));
  if (options.once) {
    context.output.result(joined(watch.lines(context.output, block)),
                          status_json(feed.registry(), *watch.status()));
    return exit_code::kOk;
  }
  if (Terminal::is_there(context.environment)) {
    const int signal = watch_on_terminal(context.output, feed, watch, interval_ms);
    // As if the signal had ended it: the caller sees which one it was.
    if (signal != 0) ::raise(signal);
    return exit_code::kOk;
  }
  while (true) {
    context.output.raw(joined(watch.lines(context.output, block)) + "\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
    watch.ask();
  }
}

}  // namespace

void add_top(Commands& commands) {
  commands.add<TopOptions>(
      commands.root(), "top", "Watch a registry and its nodes",
      [](CLI::App& command, TopOptions& options) {
        command.add_flag("--once", options.once, "Print what is now, and end");
        command.add_option("--interval", options.interval_s, "Ask again after this time")
            ->transform(duration_in_seconds())
            ->check(CLI::Range(1U, kIntervalMaxS))
            ->capture_default_str();
        command.add_option("--sort", options.order, "Which ledgers come first")
            ->check(CLI::IsMember(std::vector<std::string>(std::begin(kLedgerOrderNames),
                                                           std::end(kLedgerOrderNames))))
            ->capture_default_str();
        command
            .add_option("-n,--limit", options.ledgers_max,
                        "How many ledgers at most, where no terminal sets the limit")
            ->check(CLI::Range(size_t{1}, size_t{100'000}))
            ->type_name("N")
            ->capture_default_str();
        command.footer(
            "It needs the right 'fleet'. Figures in brackets are per second. 'q' ends it.\n"
            "A bar has a part for each kind of nodes: '=' decide with the newest release, '-' "
            "with\n"
            "another one or none, 'x' have rejected it, '.' are away.");
      },
      run_top);
}

}  // namespace notp::cli
