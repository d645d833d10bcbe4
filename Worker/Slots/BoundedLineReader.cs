using System.Text;

namespace MlExperiments.Worker.Slots;

/// <summary>Reads lines of which no more than a limit is kept: a program that never ends its line can't fill this one's memory.</summary>
internal sealed class BoundedLineReader(TextReader reader, int maxLength)
{
    private readonly char[] _buffer = new char[4096];
    private int _next;
    private int _count;

    /// <summary>The next line, cut to the limit; null at the end.</summary>
    public async Task<string?> ReadLineAsync()
    {
        var line = new StringBuilder();
        var any = false;
        while (true)
        {
            if (_next == _count)
            {
                _count = await reader.ReadAsync(_buffer);
                _next = 0;
                if (_count == 0)
                    return any ? line.ToString() : null;
            }

            any = true;
            var end = Array.IndexOf(_buffer, '\n', _next, _count - _next);
            var length = (end < 0 ? _count : end) - _next;
            line.Append(_buffer, _next, Math.Min(length, maxLength - line.Length));
            _next += length;
            if (end >= 0)
            {
                _next++;
                return line.ToString();
            }
        }
    }
}
