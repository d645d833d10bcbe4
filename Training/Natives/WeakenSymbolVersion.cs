using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// A build task: copies a shared library (ELF, 64 bits, little-endian) and marks one symbol version that it needs as weak, so that the
/// loader accepts libraries that don't define it. Formats: System V ABI; Linux Standard Base Core 5.0, chapter 10.7 (symbol versioning).
/// </summary>
public sealed class WeakenSymbolVersion : Task
{
    private const uint NeededVersions = 0x6ffffffe; // SHT_GNU_verneed
    private const uint SymbolVersions = 0x6fffffff; // SHT_GNU_versym
    private const ushort Weak = 2; // VER_FLG_WEAK

    private byte[] _elf = [];

    /// <summary>The library to copy.</summary>
    [Required]
    public string Library { get; set; } = "";

    /// <summary>The version, for example <c>GLIBCXX_3.4.32</c>. A library that doesn't need it is copied as it is.</summary>
    [Required]
    public string Version { get; set; } = "";

    /// <summary>The only symbol that may have this version: another one would be missing when it is called.</summary>
    [Required]
    public string OnlySymbol { get; set; } = "";

    /// <summary>Where the copy goes.</summary>
    [Required]
    public string Output { get; set; } = "";

    public override bool Execute()
    {
        _elf = File.ReadAllBytes(Library);
        if (_elf.Length < 64 || Encoding.ASCII.GetString(_elf, 1, 3) != "ELF" || _elf[4] != 2 || _elf[5] != 1)
        {
            Log.LogError($"{Library} is not a 64-bit little-endian ELF library.");
            return false;
        }

        foreach (var record in Needed().Where(record => record.Name == Version))
        {
            var others = SymbolsOf(record.Index).Where(name => name != OnlySymbol).ToList();
            if (others.Count > 0)
            {
                Log.LogError($"{Library} needs {Version} for {string.Join(", ", others)}, which a C++ library without that version doesn't have.");
                return false;
            }

            BitConverter.GetBytes((ushort)(Word(record.Offset + 4) | Weak)).CopyTo(_elf, record.Offset + 4);
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Output)!);
        // A new file, not new bytes in the old one: the outputs may be hard links to that.
        File.Delete(Output);
        File.WriteAllBytes(Output, _elf);
        return true;
    }

    /// <summary>Each version that the library needs: its name, the index by which symbols refer to it, and the record's place (<c>Elf64_Vernaux</c>).</summary>
    private IEnumerable<(string Name, int Index, int Offset)> Needed()
    {
        foreach (var section in Sections(NeededVersions))
        {
            var file = section.Offset;
            for (var files = section.Info; files > 0; files--, file += Int(file + 12))
            {
                var record = file + Int(file + 8);
                for (var records = Word(file + 2); records > 0; records--, record += Int(record + 12))
                    yield return (Text(section.Link, Int(record + 8)), Word(record + 6), record);
            }
        }
    }

    /// <summary>The names of the dynamic symbols that have the version with this index.</summary>
    private IEnumerable<string> SymbolsOf(int index)
    {
        foreach (var versions in Sections(SymbolVersions))
        {
            var symbols = Section(versions.Link);
            for (var i = 0; i < versions.Size / 2; i++)
            {
                if ((Word(versions.Offset + (2 * i)) & 0x7fff) == index)
                    yield return Text(symbols.Link, Int(symbols.Offset + (24 * i)));
            }
        }
    }

    private IEnumerable<(int Offset, int Size, int Link, int Info)> Sections(uint type) =>
        Enumerable.Range(0, Word(0x3c)).Where(number => (uint)Int(Header(number) + 4) == type).Select(Section);

    private (int Offset, int Size, int Link, int Info) Section(int number)
    {
        var header = Header(number);
        return (Int(header + 24), Int(header + 32), Int(header + 40), Int(header + 44));
    }

    private int Header(int number) => Int(0x28) + (number * Word(0x3a));

    private string Text(int table, int offset)
    {
        var start = Section(table).Offset + offset;
        return Encoding.ASCII.GetString(_elf, start, Array.IndexOf(_elf, (byte)0, start) - start);
    }

    private int Int(int offset) => BitConverter.ToInt32(_elf, offset);

    private ushort Word(int offset) => BitConverter.ToUInt16(_elf, offset);
}
