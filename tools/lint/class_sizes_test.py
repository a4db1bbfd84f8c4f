"""Counts classes whose numbers a reader can count, and plants one that is too big."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import class_sizes
from source_tree import SourceTree

HEADER = """\
#pragma once
#define NOT_A_CLASS class Macro { int x; };

// class Commented { int x; };
enum class Colour { kRed, kBlue };

template <typename T>
class Box final : public Base<T>, private Other {
 public:
  using Handler = std::function<void(int)>;
  static constexpr int kMax = 3;
  enum State { kOpen, kShut };
  explicit Box(int size = some(1)) : size_(size) {}
  ~Box();
  Box(const Box&) = delete;
  Box& operator=(const Box&) = delete;
  Box(Box&&) = default;

  // A nested record is a class of its own.
  struct Entry {
    std::map<std::string, std::vector<int>> rows;  // "a string { with braces"
    bool seen = false, gone = false;
  };

  std::map<std::string, int> rows() const;
  template <typename F>
  auto with(F f) -> decltype(f()) {
    if (f) {
      return f();
    }
    return {};
  }
  bool operator()(int a) const { return a < 3; }
  bool operator==(const Box&) const = default;
  bool operator<(const Box& other) const;
  explicit operator bool() const { return size_ != 0; }
  static Result<std::unique_ptr<Box>> open(const std::string& path);
  virtual void on_event(Event<int>&& event) = 0;

 private:
  friend class Friend;
  class Hidden;
  const int size_;
  std::function<void(const std::string&)> handler_ = [](const std::string&) {};
  std::array<char, (1 << 4)> bytes_{};
  mutable std::mutex mutex_;
  std::map<int, Entry> entries_ NOTP_GUARDED_BY(mutex_of(first_, 1));
  size_t first_ = 0, last_ = 0;
  std::unique_ptr<Hidden> hidden_ = std::make_unique<Hidden>(1, 2);
  Handler handler2_{nullptr};
};

struct Box::Hidden {
  int a;
};
"""


class ClassSizes(unittest.TestCase):
    def setUp(self):
        without = mock.patch.object(class_sizes, "EXCEPTIONS", {})
        without.start()
        self.addCleanup(without.stop)

    def findings(self, files: dict[str, str]) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / path).write_text(text)
            return [str(f) for f in class_sizes.class_sizes(SourceTree.walked(Path(folder)))]

    def test_what_is_counted(self):
        found = {size.name: size for size in class_sizes.classes("box.hpp", HEADER)}
        self.assertEqual(sorted(found), ["Box", "Box::Hidden", "Entry"])
        # Constructor, destructor, rows, with, (), <, bool, open, on_event.
        self.assertEqual((found["Box"].members, found["Box"].methods), (9, 9))
        self.assertEqual((found["Entry"].members, found["Entry"].methods), (3, 0))
        self.assertEqual((found["Box::Hidden"].members, found["Box::Hidden"].methods), (1, 0))
        self.assertEqual(found["Box"].line, 8)
        self.assertTrue(found["Entry"].is_record and not found["Box"].is_record)

    def test_a_class_that_is_too_big_is_found(self):
        members = "".join(f"  int m{i}_;\n" for i in range(16))
        methods = "".join(f"  void f{i}();\n" for i in range(41))
        self.assertIn("16 members", self.findings({"common/a.hpp": f"class A {{\n{members}}};\n"})[0])
        self.assertIn("41 methods", self.findings({"common/a.hpp": f"class A {{\n{methods}}};\n"})[0])
        self.assertIn("41 methods", self.findings({"common/a.hpp": f"struct A {{\n{methods}}};\n"})[0])
        self.assertEqual(self.findings({"common/a.hpp": f"struct Record {{\n{members}}};\n"}), [])
        self.assertEqual(self.findings({"tests/a.hpp": f"class A {{\n{members}}};\n"}), [])

    def test_exceptions_are_few_and_needed(self):
        with mock.patch.object(class_sizes, "EXCEPTIONS", {"common/a.hpp: A": "it was big"}):
            self.assertIn("not too big", self.findings({"common/a.hpp": "class A {};\n"})[0])
            members = "".join(f"  int m{i}_;\n" for i in range(16))
            self.assertEqual(self.findings({"common/a.hpp": f"class A {{\n{members}}};\n"}), [])
        many = {f"common/a.hpp: A{i}": "" for i in range(6)}
        text = "".join(f"class A{i} {{ {' '.join(f'int m{j}_;' for j in range(16))} }};\n" for i in range(6))
        with mock.patch.object(class_sizes, "EXCEPTIONS", many):
            self.assertEqual(len(self.findings({"common/a.hpp": text})), 1)


if __name__ == "__main__":
    unittest.main()
