// A worker's connection and end, as reported by an executor.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <boost/asio/io_context.hpp>

#include "common/rego/host/worker_link.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/child_processes.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::rego {
namespace {

std::shared_ptr<WorkerLink> start(boost::asio::io_context& context, const std::string& program,
                                  size_t slot, std::function<void(WorkerLink&)> on_ended) {
  auto process = WorkerProcess::start({.program = program, .data_bytes_max = 1ULL << 30});
  REQUIRE_MESSAGE(process, process.error().message);
  WorkerEvents events{
      [](WorkerLink&, const std::vector<IncomingFrame>&) {}, [](WorkerLink&, const Error&) {},
      [on_ended = std::move(on_ended)](WorkerLink& link, const WorkerEnd&) { on_ended(link); }};
  return std::make_shared<WorkerLink>(context.get_executor(), std::move(*process),
                                      WorkerRef{slot, 1}, std::move(events), 1 << 20);
}

// A program that runs until it is killed.
std::string script(const TemporaryFolder& folder, const std::string& name,
                   const std::string& begins) {
  const std::filesystem::path file = folder.path() / name;
  REQUIRE(write_file(file, "#!/bin/sh\n" + begins + "exec sleep 1000\n"));
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  return file;
}

// A report about a worker that is gone may refer to the next one, which reuses its descriptor
// numbers. That is not an end, and the real end must still be noticed.
TEST_CASE("a worker's end is noticed after a false alarm") {
  const TemporaryFolder folder;
  const std::string other = folder.path() / "other";
  // A process that keeps the worker's channels open after the worker has ended.
  const std::string program = script(
      folder, "keeper", fmt::format("sleep 1000 &\necho $! >{0}.new\nmv {0}.new {0}\n", other));

  boost::asio::io_context context;
  std::shared_ptr<WorkerLink> second;
  bool has_ended = false;
  const auto first = start(context, program, 0, [&](WorkerLink& link) {
    link.close();
    second = start(context, script(folder, "plain", ""), 1, [&](WorkerLink& ended) {
      has_ended = true;
      ended.close();
    });
    second->begin();
  });
  first->begin();
  REQUIRE(wait_until([&] { return std::filesystem::exists(other); }));
  const auto workers = child_processes();
  REQUIRE(workers.size() == 1);
  first->kill();
  // A worker that has ended has no program: its end can be read before that of its channels.
  REQUIRE(wait_until([&] { return program_of(workers[0]).empty(); }));
  const pid_t keeper = static_cast<pid_t>(std::stol(read_text(other)));
  ::kill(keeper, SIGKILL);
  REQUIRE(wait_until([&] { return program_of(keeper).empty(); }));

  REQUIRE(wait_until([&] {
    context.poll();
    return second != nullptr;
  }));
  context.poll();
  CHECK_FALSE(has_ended);
  second->kill();
  CHECK(wait_until([&] {
    context.poll();
    return has_ended;
  }));
}

}  // namespace
}  // namespace notp::rego
