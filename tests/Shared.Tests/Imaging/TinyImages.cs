namespace MlExperiments.Shared.Tests.Imaging;

/// <summary>Images of 8 x 8 pixels in one colour, one of each kind. Unless said otherwise the colour is red 200, green 100, blue 50.</summary>
internal static class TinyImages
{
    public static readonly byte[] Gif = Convert.FromBase64String("R0lGODdhCAAIAIAAAMxmNAAAACwAAAAACAAIAAACB4SPqcvtXQAAOw==");

    public static readonly byte[] Webp = Convert.FromBase64String(
        "UklGRjoAAABXRUJQVlA4IC4AAADwAQCdASoIAAgAAUAmJaACdLoB+AAEyAAA/q4X/zYEDND6YP/SbPE2eJs+OYAA");

    /// <summary>Nothing but transparency.</summary>
    public static readonly byte[] TransparentPng = Convert.FromBase64String(
        "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAYAAADED76LAAAACXBIWXMAAA7EAAAOxAGVKw4bAAAAFElEQVQYlWMUVDJmwAeY8MoOGwUAcYoAdp1oq7sAAAAASUVORK5CYII=");

    /// <summary>Black, half transparent.</summary>
    public static readonly byte[] HalfTransparentPng = Convert.FromBase64String(
        "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAYAAADED76LAAAACXBIWXMAAA7EAAAOxAGVKw4bAAAAFUlEQVQYlWNkYGCoY8ADmPBJDh8FAIlAAI45ElC5AAAAAElFTkSuQmCC");

    public static readonly byte[] Jpeg = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQEAYABgAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggLDAsKDAkKCgr/" +
        "2wBDAQICAgICAgUDAwUKBwYHCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgr/wAARCAAIAAgDAREAAhEBAxEB/8QA" +
        "HwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkK" +
        "FhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXG" +
        "x8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAEC" +
        "AxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOE" +
        "hYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDPr+Vz+2D/" +
        "2Q==");

    /// <summary>Cyan, magenta, yellow and black, as Adobe's programs write it: inverted.</summary>
    public static readonly byte[] CmykJpeg = Convert.FromBase64String(
        "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJCgoK/8AA" +
        "FAgACAAIBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAkH/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAA4EQwBNAFkASwAAPwBIEPGOfx//2Q==");

    /// <summary>16 x 16 pixels in many colours; progressive.</summary>
    public static readonly byte[] ProgressiveJpeg = Convert.FromBase64String(
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//" +
        "2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wgARCAAQABADASIAAhEBAxEB/8QA" +
        "FQABAQAAAAAAAAAAAAAAAAAABAX/xAAVAQEBAAAAAAAAAAAAAAAAAAAAAf/aAAwDAQACEAMQAAABlsWyv//EABYQAAMAAAAAAAAAAAAAAAAAAAACA//aAAgBAQAB" +
        "BQJZizFmLM//xAAVEQEBAAAAAAAAAAAAAAAAAAAEAP/aAAgBAwEBPwEqL//EABYRAAMAAAAAAAAAAAAAAAAAAAACA//aAAgBAgEBPwF7n//EABQQAQAAAAAAAAAA" +
        "AAAAAAAAACD/2gAIAQEABj8CH//EABUQAQEAAAAAAAAAAAAAAAAAAABh/9oACAEBAAE/IZJJJP/aAAwDAQACAAMAAAAQs//EABYRAAMAAAAAAAAAAAAAAAAAAAAh" +
        "Mf/aAAgBAwEBPxCbP//EABURAQEAAAAAAAAAAAAAAAAAAABh/9oACAECAQE/ELP/xAAVEAEBAAAAAAAAAAAAAAAAAAAAMf/aAAgBAQABPxCJEiRP/9k=");

    /// <summary>Two frames: the second one is blue.</summary>
    public static readonly byte[] AnimatedWebp = Convert.FromBase64String(
        "UklGRoYAAABXRUJQVlA4WAoAAAACAAAABwAABwAAQU5JTQYAAAAAAAAAAABBTk1GKgAAAAAAAAAAAAcAAAcAAGQAAAJWUDhMEQAAAC8HwAEAB1CyIlem/4GI6H8A" +
        "AEFOTUYoAAAAAAAAAAAABwAABwAAZAAAAFZQOEwPAAAALwfAAQAHENH//gciov8BAA==");

    /// <summary>24 bits a pixel, without compression.</summary>
    public static byte[] Bmp(int width = 8, int height = 8, byte red = 200, byte green = 100, byte blue = 50)
    {
        var stride = ((width * 3) + 3) / 4 * 4;
        var file = new byte[54 + (stride * height)];
        "BM"u8.CopyTo(file);
        BitConverter.TryWriteBytes(file.AsSpan(2), file.Length);
        BitConverter.TryWriteBytes(file.AsSpan(10), 54);
        BitConverter.TryWriteBytes(file.AsSpan(14), 40);
        BitConverter.TryWriteBytes(file.AsSpan(18), width);
        BitConverter.TryWriteBytes(file.AsSpan(22), height);
        file[26] = 1;
        file[28] = 24;
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                new[] { blue, green, red }.CopyTo(file, 54 + (y * stride) + (x * 3));
        }

        return file;
    }
}
