// Changes of files and clocks: which ones a process is notified of, and when.
#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <string>

#include "common/asio/clock_watch.hpp"
#include "common/asio/file_watch.hpp"
#include "common/storage/files.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;
namespace asio = boost::asio;

// Far longer than any step here takes; a failing test ends.
constexpr auto kPatience = std::chrono::seconds(20);

// A watch with a count of its callbacks.
struct Watched {
  explicit Watched(FileWatchOptions options = {.settle_ms = 1})
      : watch(context.get_executor(), [this] { ++calls; }, options) {}

  // Runs until the next callback. False: there was none.
  bool called() {
    const size_t before = calls;
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (calls == before && std::chrono::steady_clock::now() < end)
      if (context.run_one_until(end) == 0) break;
    return calls > before;
  }
  // True if the events so far do not concern the files: none causes a callback.
  bool silent() {
    const size_t before = calls;
    context.poll();
    return calls == before;
  }

  asio::io_context context;
  size_t calls = 0;
  FileWatch watch;
};

void write_in_place(const fs::path& file, std::string_view text) {
  FILE* out = ::fopen(file.c_str(), "w");
  REQUIRE(out != nullptr);
  CHECK(::fwrite(text.data(), 1, text.size(), out) == text.size());
  ::fclose(out);
}

// Like the kubelet's mount of a secret: each file is a link through ..data to a folder of its
// version.
void add_version(const fs::path& mount, const std::string& version) {
  fs::create_directory(mount / version);
  write_in_place(mount / version / "tls.crt", version);
  fs::create_directory_symlink(version, mount / "..data_tmp");
  fs::rename(mount / "..data_tmp", mount / "..data");
}

// Prevents the process from opening more descriptors during its lifetime.
class NoDescriptors {
 public:
  NoDescriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit none = before_;
    none.rlim_cur = 3;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

TEST_CASE("a file that is written, replaced, removed and made again is reported each time") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "node.pem";
  write_in_place(file, "one");
  Watched node;
  node.watch.watch({file});
  CHECK_FALSE(node.watch.is_polling());
  CHECK(node.silent());

  write_in_place(file, "two");
  CHECK(node.called());
  REQUIRE(write_file(file, "three"));  // a rename
  CHECK(node.called());
  write_in_place(file, "four");  // the file that was renamed there
  CHECK(node.called());
  fs::permissions(file, fs::perms::owner_read);
  CHECK(node.called());
  fs::remove(file);
  CHECK(node.called());
  REQUIRE(write_file(file, "five"));
  CHECK(node.called());
  CHECK_FALSE(node.watch.is_polling());
}

TEST_CASE("other files of the same folder are not reported") {
  const TemporaryFolder folder;
  write_in_place(folder.path() / "node.pem", "one");
  Watched node;
  node.watch.watch({folder.path() / "node.pem"});
  write_in_place(folder.path() / "port", "1");
  REQUIRE(write_file(folder.path() / "port", "2"));
  fs::remove(folder.path() / "port");
  CHECK(node.silent());
  write_in_place(folder.path() / "node.pem", "two");
  CHECK(node.called());
}

TEST_CASE("a mounted secret is replaced by one rename of ..data") {
  const TemporaryFolder folder;
  add_version(folder.path(), "..1");
  fs::create_symlink("..data/tls.crt", folder.path() / "tls.crt");
  Watched node;
  node.watch.watch({folder.path() / "tls.crt"});
  for (const std::string version : {"..2", "..3"}) {
    add_version(folder.path(), version);
    CHECK(node.called());
    CHECK(read_file(folder.path() / "tls.crt", 100).value() == version);
  }
  // The version in use is rewritten in place; earlier versions do not count.
  write_in_place(folder.path() / "..3/tls.crt", "four");
  CHECK(node.called());
  fs::remove_all(folder.path() / "..1");
  write_in_place(folder.path() / "..2/tls.crt", "old");
  CHECK(node.silent());
}

TEST_CASE("links to other folders are followed, however they change") {
  const TemporaryFolder folder;
  const fs::path root = folder.path();
  for (const char* name : {"a", "b", "conf"}) fs::create_directory(root / name);
  write_in_place(root / "a/node.pem", "a");
  write_in_place(root / "b/node.pem", "b");
  fs::create_directory_symlink(root / "a", root / "current");
  fs::create_symlink("../current/./node.pem", root / "conf/node.pem");
  Watched node;
  node.watch.watch({root / "conf/node.pem"});
  write_in_place(root / "a/node.pem", "a again");
  CHECK(node.called());
  fs::create_directory_symlink(root / "b", root / "next");
  fs::rename(root / "next", root / "current");
  CHECK(node.called());
  write_in_place(root / "b/node.pem", "b again");
  CHECK(node.called());
  fs::remove(root / "conf/node.pem");
  CHECK(node.called());
  fs::create_symlink("node.pem", root / "conf/node.pem");  // a link to itself
  CHECK(node.called());
  fs::remove(root / "conf/node.pem");
  CHECK(node.called());
  write_in_place(root / "conf/node.pem", "a file");
  CHECK(node.called());
}

TEST_CASE("a folder that is moved away, made again, or made later is found") {
  const TemporaryFolder folder;
  const fs::path root = folder.path();
  const fs::path file = root / "etc/pki/node.pem";
  Watched node;
  node.watch.watch({file});
  CHECK_FALSE(node.watch.is_polling());
  fs::create_directory(root / "etc");
  CHECK(node.called());
  fs::create_directory(root / "etc/pki");
  CHECK(node.called());
  write_in_place(file, "one");
  CHECK(node.called());

  fs::rename(root / "etc", root / "old");
  CHECK(node.called());
  fs::create_directories(file.parent_path());
  CHECK(node.called());
  write_in_place(file, "two");
  CHECK(node.called());
  write_in_place(root / "old/pki/node.pem", "nobody's");
  CHECK(node.silent());

  fs::remove_all(root / "etc");
  CHECK(node.called());
  fs::create_directories(root / "new/pki");
  write_in_place(root / "new/pki/node.pem", "three");
  fs::rename(root / "new", root / "etc");
  CHECK(node.called());
  write_in_place(file, "four");
  CHECK(node.called());
}

TEST_CASE("a hard link, which is written through another name, is reported") {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "elsewhere");
  write_in_place(folder.path() / "elsewhere/node.pem", "one");
  fs::create_hard_link(folder.path() / "elsewhere/node.pem", folder.path() / "node.pem");
  Watched node;
  node.watch.watch({folder.path() / "node.pem"});
  write_in_place(folder.path() / "elsewhere/node.pem", "two");
  CHECK(node.called());
}

TEST_CASE("certificate and key that are replaced together cost one look") {
  const TemporaryFolder folder;
  Watched node({.settle_ms = 50});
  node.watch.watch({folder.path() / "node.pem", folder.path() / "node.key"});
  for (int i = 0; i < 100; ++i)
    for (const char* name : {"node.pem", "node.key"}) write_in_place(folder.path() / name, "new");
  CHECK(node.called());
  CHECK(node.silent());
}

TEST_CASE("other files are watched from then on, and looked at once") {
  const TemporaryFolder folder;
  Watched node;
  node.watch.watch({folder.path() / "a"});
  node.watch.watch({folder.path() / "a"});
  CHECK(node.silent());
  node.watch.watch({folder.path() / "b"});
  CHECK(node.called());
  write_in_place(folder.path() / "a", "no");
  CHECK(node.silent());
  write_in_place(folder.path() / "b", "yes");
  CHECK(node.called());
  node.watch.stop();
  write_in_place(folder.path() / "b", "too late");
  CHECK(node.silent());
}

TEST_CASE("without inotify the files are looked at, until there is one") {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "node.pem";
  write_in_place(file, "one");
  write_in_place(folder.path() / "new.pem", "two");
  Watched node({.poll_ms = 1, .settle_ms = 1});
  {
    const NoDescriptors none;
    node.watch.watch({file});
    CHECK(node.watch.is_polling());
    fs::rename(folder.path() / "new.pem", file);
    CHECK(node.called());
    CHECK(node.watch.is_polling());
    fs::remove(file);
    CHECK(node.called());
  }
  // Changes in between are noticed at the kernel's next report.
  write_in_place(file, "three");
  while (node.watch.is_polling()) REQUIRE(node.called());
  while (node.context.poll() != 0) continue;
  write_in_place(file, "four");
  CHECK(node.called());
}

TEST_CASE("where files change unseen they are polled") {
  Watched node({.poll_ms = 1, .settle_ms = 1});
  node.watch.watch({"/proc/self/status"});
  CHECK(node.watch.is_polling());
  node.watch.watch({"/nowhere/at/all"});
  CHECK_FALSE(node.watch.is_polling());
}

TEST_CASE("a clock that was set is reported once each time, without a look at it") {
  asio::io_context context;
  size_t calls = 0;
  const int kernel = ::eventfd(0, EFD_NONBLOCK);
  REQUIRE(kernel >= 0);
  ClockWatch watch(context.get_executor(), [&] { ++calls; }, ::dup(kernel), 1);
  context.poll();
  CHECK(calls == 0);
  for (size_t times = 1; times <= 3; ++times) {
    const uint64_t one = 1;
    REQUIRE(::write(kernel, &one, sizeof(one)) == sizeof(one));
    context.run_one_for(kPatience);
    context.poll();
    CHECK(calls == times);
  }
  watch.stop();
  const uint64_t one = 1;
  REQUIRE(::write(kernel, &one, sizeof(one)) == sizeof(one));
  context.poll();
  CHECK(calls == 3);
  ::close(kernel);
}

TEST_CASE("this machine's kernel reports that its clock is set") {
  asio::io_context context;
  ClockWatch watch(context.get_executor(), [] {});
  CHECK(context.poll() == 0);  // a timer that is wrong expires at once
}

TEST_CASE("where the kernel has no such timer the clock is looked at") {
  asio::io_context context;
  size_t calls = 0;
  ClockWatch watch(context.get_executor(), [&] { ++calls; }, -1, 1);
  while (calls < 3) REQUIRE(context.run_one_for(kPatience) == 1);
}

}  // namespace
}  // namespace notp
