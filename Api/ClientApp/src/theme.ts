import { definePreset, palette } from '@primeuix/themes'
import Aura from '@primeuix/themes/aura'
import { ref, watch } from 'vue'

export const preset = definePreset(Aura, {
  semantic: {
    primary: palette('{teal}'),
    borderRadius: { sm: '4px', md: '6px', lg: '8px', xl: '10px' },
    formField: { paddingX: '0.625rem', paddingY: '0.4rem', sm: { fontSize: '0.8125rem', paddingX: '0.5rem', paddingY: '0.25rem' } },
    focusRing: { width: '2px', style: 'solid', color: '{primary.color}', offset: '2px' },
    colorScheme: {
      light: { surface: palette('{slate}'), primary: { color: '{primary.700}', hoverColor: '{primary.800}', activeColor: '{primary.900}' } },
      dark: { surface: palette('{zinc}') },
    },
  },
  // The usual colours of messages are too pale to be read on their ground.
  components: {
    toast: { colorScheme: { light: { success: { color: '{green.800}', detailColor: '{green.900}' }, error: { color: '{red.800}', detailColor: '{red.900}' } } } },
  },
})

export type Theme = 'system' | 'light' | 'dark'

const Key = 'theme'
const system = matchMedia('(prefers-color-scheme: dark)')
const read = (): Theme => {
  const kept = localStorage.getItem(Key)
  return kept === 'light' || kept === 'dark' ? kept : 'system'
}

export const theme = ref<Theme>(read())
export const isDark = ref(false)

function apply(): void {
  isDark.value = theme.value === 'dark' || (theme.value === 'system' && system.matches)
  document.documentElement.classList.toggle('dark', isDark.value)
}

watch(theme, (chosen) => {
  localStorage.setItem(Key, chosen)
  apply()
})
system.addEventListener('change', apply)
apply()
