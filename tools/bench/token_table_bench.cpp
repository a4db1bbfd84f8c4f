// token_table_bench [TOKENS [SECONDS]]: a node's table of tokens beside the same policy that looks
// nothing up: memory of the agent and both workers, what a lookup adds to a decision, and decisions
// while events arrive.
#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <span>
#include <thread>

#include "common/clock.hpp"
#include "common/rego/tokens_module.hpp"
#include "notp-client/lane/table/token_table.hpp"
#include "tests/support/agent/rego_engine.hpp"

namespace {

using namespace notp;
using namespace std::chrono_literals;
using feed::Event;
using std::chrono::steady_clock;

constexpr const char* kLooks =
    "package looks\n\nallow if data.system.notp.tokens.lookup(input.token).client == "
    "input.client\n";
// The same but for the lookup.
constexpr const char* kPlain =
    "package plain\n\nallow if {\"iss\": input.token, \"client\": \"shop\"}.client == "
    "input.client\n";

std::string token(size_t number) { return fmt::format("token-{:032x}", number); }

Event living(size_t number, int64_t now_s) {
  feed::TokenRecord record{.iss = "https://login.example/realms/main",
                           .sub = fmt::format("{:08x}-1f0e-4b0a-9d5c-{:012x}",
                                              number * 2654435761 % (1ULL << 32), number),
                           .client = number % 3 == 0 ? "shop" : "mobile",
                           .scope = "openid profile payments:read",
                           .aud = {"https://api.example"}};
  record.client = "shop";
  record.exp_s = now_s + 3600 + static_cast<int64_t>(number % 1800);
  record.iat_s = now_s - static_cast<int64_t>(number % 600);
  return Event::token(feed::token_id(token(number)), std::move(record));
}

std::vector<std::string> children() {
  std::ifstream in(fmt::format("/proc/self/task/{}/children", ::getpid()));
  std::vector<std::string> out;
  for (std::string pid; in >> pid;) out.push_back(pid);
  // Workers belong to the thread that started them.
  if (DIR* tasks = ::opendir("/proc/self/task")) {
    while (const dirent* task = ::readdir(tasks)) {
      std::ifstream of(fmt::format("/proc/self/task/{}/children", task->d_name));
      for (std::string pid; of >> pid;)
        if (std::ranges::find(out, pid) == out.end()) out.push_back(pid);
    }
    ::closedir(tasks);
  }
  return out;
}

// Proportional set size of this process and its workers: shared pages are counted once. MB.
double pss_mb() {
  double kb = 0;
  auto pids = children();
  pids.emplace_back("self");
  for (const std::string& pid : pids) {
    std::ifstream in("/proc/" + pid + "/smaps_rollup");
    for (std::string line; std::getline(in, line);)
      if (line.starts_with("Pss:")) kb += std::stod(line.substr(4));
  }
  return kb / 1000 * 1.024;
}

// Processor time of the calling thread: ms.
double thread_ms() {
  timespec spent{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e3 + static_cast<double>(spent.tv_nsec) / 1e6;
}

double at(std::vector<double> values, double share) {
  const auto place =
      values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, place);
  return *place;
}

class Bench {
 public:
  explicit Bench(size_t count) : count_(count) {
    auto snapshot = std::make_shared<rego::Snapshot>(*rego::SnapshotBuilder(contents_)
                                                          .ledger("looks", kLooks)
                                                          .ledger("plain", kPlain)
                                                          .system("{}")
                                                          .make());
    rego::add_tokens_module(*snapshot);
    if (auto done = host_.activate(std::move(snapshot)); !done)
      throw std::runtime_error(done.error().message);
  }

  void memory() {
    for (size_t i = 0; i < 2'000; ++i) ask("looks", i), ask("plain", i);
    const double before = pss_mb();
    auto began = steady_clock::now();
    std::vector<Event> events;
    for (size_t i = 0; i < count_;) {
      events.clear();
      for (; i < count_ && events.size() < 4'096; ++i) events.push_back(living(i, now_s()));
      table_.apply(events);
      if (i % (1 << 16) == 0) table_.take_update();
    }
    events = {};
    const double applied_s = std::chrono::duration<double>(steady_clock::now() - began).count();
    began = steady_clock::now();
    feed(true);
    const double fed_s = std::chrono::duration<double>(steady_clock::now() - began).count();
    for (size_t i = 0; i < 100'000; ++i) ask("looks", i * 7919);
    const double after = pss_mb();
    fmt::print(
        "memory: {} tokens, agent and {} workers: {:.1f} MB before, {:.1f} after: {:.0f} bytes a "
        "token "
        "(goal 160); the table says {:.0f}\n",
        count_, children().size(), before, after,
        (after - before) * 1e6 / static_cast<double>(count_),
        static_cast<double>(table_.memory_bytes()) / static_cast<double>(count_));
    fmt::print("applied in {:.1f} s, then given to the workers in {:.0f} ms\n", applied_s,
               fed_s * 1000);
  }

  void cost() {
    std::vector<double> with, plain, with_ns, plain_ns;
    for (int round = 0; round < 10; ++round) {
      for (size_t i = 0; i < 2'000; ++i)
        add(with, with_ns, "looks", i * 7919 + static_cast<size_t>(round));
      for (size_t i = 0; i < 2'000; ++i)
        add(plain, plain_ns, "plain", i * 7919 + static_cast<size_t>(round));
    }
    print("lookup", "with", with, "plain", plain);
    fmt::print("  evaluation alone: p50 {:.1f} us with, {:.1f} in the other: {:+.1f} us (goal 3)\n",
               at(with_ns, .5) / 1000, at(plain_ns, .5) / 1000,
               (at(with_ns, .5) - at(plain_ns, .5)) / 1000);
  }

  void updates(double seconds) {
    std::vector<double> quiet, busy, ns;
    uint64_t applied = 0, feeds = 0;
    double applied_ms = 0, processor_ms = 0;
    for (int round = 0; round < 6; ++round) {
      const bool with_updates = round % 2 == 1;
      std::atomic<bool> is_over = false;
      std::thread writer([&] {
        auto next = steady_clock::now();
        while (with_updates && !is_over) {
          std::vector<Event> events;
          for (int i = 0; i < 20; ++i, ++applied) {
            const size_t number = applied * 104729 % count_;
            events.push_back(applied % 2 == 0
                                 ? living(count_ + applied, now_s())
                                 : Event::deleted(feed::token_id(token(number)), now_s() + 3600));
          }
          const auto began = steady_clock::now();
          const double spent_ms = thread_ms();
          table_.apply(events);
          table_.expire(now_s());
          feed(false);
          applied_ms +=
              std::chrono::duration<double, std::milli>(steady_clock::now() - began).count();
          processor_ms += thread_ms() - spent_ms;
          ++feeds;
          std::this_thread::sleep_until(next += 20ms);
        }
      });
      const auto end = steady_clock::now() + std::chrono::duration<double>(seconds / 6);
      for (size_t i = 0; steady_clock::now() < end; ++i)
        add(with_updates ? busy : quiet, ns, "looks", i * 7919);
      is_over = true;
      writer.join();
    }
    print("1,000 events/s", "with events", busy, "plain", quiet);
    const auto updates = static_cast<double>(std::max<uint64_t>(feeds, 1));
    fmt::print(
        "  {} events in {} updates, each {:.2f} ms until both workers decide with it, of it {:.2f} "
        "ms of the agent's "
        "processor\n",
        applied, feeds, applied_ms / updates, processor_ms / updates);
  }

 private:
  static int64_t now_s() { return read_clock().wall_ms / 1000; }

  void feed(bool whole) {
    const Now now = read_clock();
    table_.set_readout({.lane = "main",
                        .revision = ++revision_,
                        .contact = rego::LaneContact::kHeard,
                        .is_complete = true,
                        .heard_ms = now.wall_ms,
                        .hard_s = 900,
                        .trusted_ms = now.wall_ms,
                        .boot_ms = now.boot_ms});
    std::promise<void> done;
    auto update = table_.take_update();
    if (whole) update = table_.whole();
    host_.engine->feed_tokens(std::move(update.feed),
                              [&](const Result<void>&) { done.set_value(); });
    done.get_future().wait();
  }

  rego::Decision ask(const char* package, size_t number) {
    auto decided =
        host_.ask({package, "allow"},
                  fmt::format(R"({{"token": "{}", "client": "shop"}})", token(number % count_)));
    if (!decided) throw std::runtime_error(decided.error().message);
    return *std::move(decided);
  }

  // Times in us and ns.
  void add(std::vector<double>& us, std::vector<double>& ns, const char* package, size_t number) {
    const auto began = steady_clock::now();
    const rego::Decision decision = ask(package, number);
    us.push_back(std::chrono::duration<double, std::micro>(steady_clock::now() - began).count());
    ns.push_back(static_cast<double>(decision.evaluation_ns));
  }

  static void print(const char* what, const char* one, const std::vector<double>& a,
                    const char* other, const std::vector<double>& b) {
    fmt::print(
        "{}: {} p50 {:.1f} p99 {:.1f} us ({} decisions); {} p50 {:.1f} p99 {:.1f} us ({}); ratio "
        "p50 {:.2f}, p99 {:.2f}\n",
        what, one, at(a, .5), at(a, .99), a.size(), other, at(b, .5), at(b, .99), b.size(),
        at(a, .5) / at(b, .5), at(a, .99) / at(b, .99));
  }

  const size_t count_;
  rego::ContentShelf contents_;
  lane::TokenTable table_;
  rego::EngineHost host_;
  uint64_t revision_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  Bench bench(count > 1 ? std::stoull(arguments[1]) : 1'000'000);
  bench.memory();
  bench.cost();
  bench.updates(count > 2 ? std::stod(arguments[2]) : 30);
  return 0;
}
